import { defineConfig } from '@playwright/test';
import { findChromium, flags } from './chromium.mjs';

export default defineConfig({
  testDir: '.',
  outputDir: '../test-results',
  workers: 1,
  // Far above what anything takes, as other things run on the machine too.
  timeout: 180_000,
  expect: { timeout: 60_000 },
  reporter: 'list',
  forbidOnly: !!process.env.CI,
  use: {
    baseURL: process.env.STUDIO_URL,
    browserName: 'chromium',
    launchOptions: { executablePath: findChromium(), args: flags },
    viewport: { width: 1280, height: 900 },
    screenshot: 'only-on-failure',
  },
});
