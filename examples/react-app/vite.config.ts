import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

// The page and the service share one origin, as behind any reverse proxy.
const service = process.env.SERVICE_URL ?? 'http://localhost:8080';
const paths = ['/events', '/generate', '/jobs', '/m', '/media', '/providers', '/storage'];
const proxy = Object.fromEntries(paths.map((path) => [path, service]));

export default defineConfig({
  plugins: [react()],
  server: { proxy },
  preview: { proxy },
});
