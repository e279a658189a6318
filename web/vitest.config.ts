import { defineConfig } from 'vitest/config';

const resolve = { conditions: ['@project/source', 'module', 'browser', 'development|production'] };

export default defineConfig({
  resolve,
  ssr: { resolve },
  test: {
    environment: 'happy-dom',
    include: ['packages/*/test/**/*.test.{ts,tsx}', 'apps/*/test/**/*.test.{ts,tsx}'],
    setupFiles: ['./vitest.setup.ts'],
    css: true,
    restoreMocks: true,
    unstubGlobals: true,
  },
});
