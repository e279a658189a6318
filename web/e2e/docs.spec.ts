import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Page } from '@playwright/test';
import { findLive } from '../scripts/examples.mjs';
import { expect, expectAccessible, png, test } from './fixtures.ts';

/** What `make docs` has built, served below a path as a project's pages are. */
const SITE = fileURLToPath(new URL('../../build/site', import.meta.url));
const BELOW = '/media-pipeline';
const TYPES: Record<string, string> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
};

const button = (page: Page, name: string | RegExp) => page.getByRole('button', { name }).first();

async function expectPictures(page: Page, count: number) {
  const pictures = page.locator('.example img');
  await expect(pictures).toHaveCount(count);
  for (const picture of await pictures.all())
    await expect.poll(() => picture.evaluate((it: HTMLImageElement) => it.naturalWidth)).toBe(480);
}

/** What a reader would do with each example, and what is seen then. */
const uses: Record<string, (page: Page) => Promise<void>> = {
  async 'JobCard.1'(page) {
    await expect(page.getByRole('article')).toHaveCount(1);
    await expect(page.getByRole('progressbar').first()).toBeVisible();
    await button(page, 'Begin a job elsewhere').click();
    await button(page, /^Cancel/).click();
    await expect(page.getByText('Cancelled')).toBeVisible();
    await expect(page.getByRole('article').last().locator('img')).toBeVisible();
  },
  async 'Lightbox.1'(page) {
    await button(page, 'a-lake.png').click();
    await expect(page.getByRole('dialog').getByRole('img')).toBeVisible();
    await page.keyboard.press('ArrowRight');
    await expect(page.getByRole('dialog').getByText('the moor')).toBeVisible();
  },
  async 'MediaLibrary.1'(page) {
    const items = page.getByRole('gridcell');
    await expect(items).toHaveCount(5);
    await items.first().getByRole('button', { name: /^Open/ }).focus();
    await page.keyboard.press('Delete');
    await expect(items).toHaveCount(4);
    await button(page, 'Undo').click();
    await expect(items).toHaveCount(5);
  },
  async 'MediaUploader.1'(page) {
    await page.locator('input[type=file]').first().setInputFiles(png('a.png'));
    await expect(page.getByText('Uploaded').first()).toBeVisible();
  },
  async 'PromptComposer.1'(page) {
    await page.getByRole('textbox').first().fill('a valley');
    await page.keyboard.press('Control+Enter');
    const card = page.getByRole('article').filter({ hasText: 'a valley' });
    await expect(card.getByText('Done')).toBeVisible();
  },
  async 'UiProvider.1'(page) {
    await expect(page.getByRole('grid', { name: 'Bilder' })).toBeVisible();
  },
  async 'UploadDock.1'(page) {
    await page.locator('input[type=file]').first().setInputFiles(png('a.png'));
    const dock = page.getByRole('region', { name: 'Uploads' });
    await expect(dock.getByText('Uploaded').first()).toBeVisible();
  },
  async 'useGenerate.1'(page) {
    await button(page, 'Generate').click();
    await expectPictures(page, 2);
  },
  async 'useJob.1'(page) {
    await expectPictures(page, 1);
    await button(page, 'Cancel').click();
    await expect(button(page, 'Cancel')).toHaveCount(0);
  },
  async 'useJob.2'(page) {
    await expect(page.getByText('generate.image: succeeded')).toBeVisible();
  },
  async 'useJobEvents.1'(page) {
    await expect(button(page, 'open')).toBeVisible();
    await expect(page.getByText('generation_progress').first()).toBeVisible();
    await expect(page.getByText('generation_complete')).toBeVisible();
  },
  async 'useMediaLibrary.1'(page) {
    await button(page, 'Smaller').click();
    await expect(page.getByRole('gridcell')).toHaveCount(7);
  },
  async 'useMediaUpload.1'(page) {
    await page.locator('input[type=file]').setInputFiles(png('a.png'));
    await expect(page.getByText('a.png: sending')).toBeVisible();
    await expect(page.getByText('a.png: complete')).toBeVisible();
  },
  async 'useMediaUsage.1'(page) {
    await expect(page.getByRole('meter')).toBeVisible();
  },
};

let server: Server;
let site: string;

test.beforeAll(async () => {
  server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '', 'http://localhost');
    const path = pathname.slice(BELOW.length) + (pathname.endsWith('/') ? 'index.html' : '');
    const file = join(SITE, path);
    if (!pathname.startsWith(BELOW) || !existsSync(file)) return response.writeHead(404).end();
    response.setHeader('Content-Type', TYPES[extname(file)] ?? 'application/octet-stream');
    response.end(readFileSync(file));
  });
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
  site = `http://localhost:${(server.address() as AddressInfo).port}${BELOW}`;
});

test.afterAll(() => {
  server.close();
});

const examples = findLive();

test('each component and each hook has a page with an example that runs', () => {
  const pages = ['components', 'hooks'].flatMap((folder) =>
    readdirSync(join(SITE, '..', '..', 'docs', folder)).map((page) => `docs/${folder}/${page}`),
  );
  expect(new Set(examples.map(({ page }) => page))).toEqual(new Set(pages));
});

for (const { page: file, name } of examples) {
  test(`the example ${name} runs on its page`, async ({ page }) => {
    const strangers: string[] = [];
    page.on('request', (request) => {
      const { origin, protocol } = new URL(request.url());
      if (/^http/.test(protocol) && origin !== new URL(site).origin) strangers.push(request.url());
    });
    page.on('pageerror', (error) => strangers.push(String(error)));
    await page.goto(`${site}/${file.slice(0, -'.md'.length)}/`);
    const frame = page.locator(`iframe[src$="of=${name}"]`);
    await frame.scrollIntoViewIfNeeded();
    await expect(frame.contentFrame().locator('.example')).toBeVisible();
    await page.goto(`${site}/live/index.html?of=${name}`);
    await uses[name]?.(page);
    expect(Object.keys(uses)).toContain(name);
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      await expectAccessible(page);
    }
    expect(strangers).toEqual([]);
  });
}

test('an example is as dark as the page around it', async ({ page }) => {
  await page.goto(`${site}/docs/hooks/useJob/`);
  const frame = page.locator('iframe').first();
  const scheme = () =>
    frame
      .contentFrame()
      .locator(':root')
      .evaluate((it) => it.style.colorScheme);
  for (const [site, own] of [
    ['slate', 'dark'],
    ['default', 'light'],
  ] as const) {
    await page.evaluate((it) => document.body.setAttribute('data-md-color-scheme', it), site);
    await frame.scrollIntoViewIfNeeded();
    await expect.poll(scheme).toBe(own);
  }
});
