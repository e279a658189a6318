import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

const service = process.env.SERVICE_URL ?? 'http://localhost:8080';
const paths = [
  '/events',
  '/generate',
  '/jobs',
  '/m',
  '/media',
  '/providers',
  '/storage',
  '/studio/token',
];

export default defineConfig({
  base: './',
  plugins: [react()],
  resolve: { conditions: ['@project/source', 'module', 'browser', 'development|production'] },
  build: {
    target: 'es2022',
    cssTarget: 'esnext',
    assetsInlineLimit: 0,
    license: { fileName: 'licenses.md' },
    modulePreload: { polyfill: false },
  },
  server: { proxy: Object.fromEntries(paths.map((path) => [path, service])) },
});
