import { copyFileSync } from 'node:fs';
import { defineConfig } from 'vite';

export default defineConfig({
  plugins: [
    {
      name: 'ship-styles',
      writeBundle: () => copyFileSync('src/styles.css', 'dist/styles.css'),
    },
  ],
  build: {
    target: 'es2022',
    cssTarget: 'esnext',
    sourcemap: true,
    minify: false,
    lib: { entry: 'src/index.ts', fileName: 'index', formats: ['es'] },
    rolldownOptions: { external: ['react', 'react-dom', 'react/jsx-runtime'] },
  },
});
