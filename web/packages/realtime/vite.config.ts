import { defineConfig } from 'vite';

export default defineConfig({
  build: {
    target: 'es2022',
    sourcemap: true,
    minify: false,
    lib: { entry: { index: 'src/index.ts', client: 'src/client.ts' }, formats: ['es'] },
    rolldownOptions: { external: ['react'] },
  },
});
