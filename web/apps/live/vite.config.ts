import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';
import { findLive } from '../../scripts/examples.mjs';

const PREFIX = 'example:';

/** Makes a module of each example on the pages of components and hooks, as it stands there. */
function examples(): Plugin {
  const code = new Map(findLive().map((each) => [each.name, each.code]));
  const loaders = [...code.keys()].map(
    (name) => `'${name}': () => import('${PREFIX}${name}.tsx'),`,
  );
  return {
    name: 'examples',
    resolveId: (id) => (id.startsWith(PREFIX) ? id : undefined),
    load(id) {
      if (id === `${PREFIX}all`) return `export const examples = {${loaders.join('\n')}};`;
      if (id.startsWith(PREFIX)) return code.get(id.slice(PREFIX.length, -'.tsx'.length));
    },
  };
}

export default defineConfig({
  base: './',
  plugins: [examples(), react()],
  resolve: { conditions: ['@project/source', 'module', 'browser', 'development|production'] },
  build: {
    outDir: '../../../build/live',
    emptyOutDir: true,
    target: 'es2022',
    cssTarget: 'esnext',
    modulePreload: { polyfill: false },
    license: { fileName: 'licenses.txt' },
  },
});
