import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from '@playwright/test';
import { drop, expect, png, pngFile, test, unique } from './fixtures.ts';
import { paintPng } from './picture.ts';

const isPut = (request: { method(): string }) => request.method() === 'PUT';

/** Hold every PUT until the answer is called. */
async function holdPuts(page: Page): Promise<() => void> {
  let release = () => {};
  const open = new Promise<void>((resolve) => {
    release = resolve;
  });
  await page.route('**/storage/**', async (route) => {
    if (isPut(route.request())) await open;
    await route.continue().catch(() => undefined);
  });
  return release;
}

test('fifty files are dropped: the unfit and the too big are told in words, all others arrive', async ({
  studio,
  page,
}) => {
  const mark = unique('many');
  const good = Array.from({ length: 44 }, (_, nth) => pngFile(`${mark}-${nth}.png`));
  const big = ['big-0', 'big-1'].map((name) => pngFile(`${mark}-${name}.png`));
  const unfit = ['a.txt', 'b.csv', 'c.txt', 'd.bin'].map((name) => ({
    name: `${mark}-${name}`,
    type: 'text/plain',
    bytes: [1],
  }));
  // Three gigabytes by their own word, which is all that the service has before they come.
  await page.route('**/media/upload/init', async (route) => {
    const { size, ...rest } = route.request().postDataJSON();
    const claimed = rest.filename.includes('big') ? 3 * 1024 ** 3 : size;
    await route.continue({ postData: JSON.stringify({ ...rest, size: claimed }) });
  });
  await drop(page, [...big, ...unfit, ...good]);
  await expect(page.getByText('text/plain is not accepted here.')).toHaveCount(4);
  for (const { name } of big) {
    await expect(studio.row(name).locator('.pu-error')).not.toBeEmpty();
    await expect(studio.row(name).getByRole('button', { name: `Retry ${name}` })).toHaveCount(0);
  }
  await page.getByRole('searchbox', { name: 'Search the library' }).fill(mark);
  await expect(page.getByRole('grid', { name: 'Library' })).toHaveAttribute('aria-rowcount', '44');
  await expect(studio.tile(`${mark}-0.png`)).toBeVisible();
});

test('an upload is cancelled while its bytes are on the way', async ({ studio, page }) => {
  const release = await holdPuts(page);
  const name = `${unique('regretted')}.png`;
  const put = page.waitForRequest(isPut);
  await studio.choose(png(name));
  await put;
  const told = page.waitForRequest(/\/jobs\/.*\/cancel$/);
  await page.getByRole('button', { name: `Cancel ${name}` }).click();
  await told;
  release();
  await expect(studio.row(name).getByRole('progressbar')).toHaveCount(0);
  await expect(studio.tile(name)).toHaveCount(0);
});

test('a token that runs out while bytes are on the way is renewed, and nothing is sent twice', async ({
  studio,
  page,
}) => {
  const name = `${unique('patient')}.png`;
  let puts = 0;
  page.on('request', (request) => {
    if (isPut(request)) puts += 1;
  });
  await page.route(
    '**/media/upload/complete',
    (route) =>
      route.fulfill({ status: 401, json: { code: 'unauthorized', detail: 'It ran out.' } }),
    { times: 1 },
  );
  const renewed = page.waitForResponse('**/studio/token');
  await studio.choose(png(name));
  await renewed;
  await studio.expectPicture(studio.tile(name).getByRole('img'));
  expect(puts).toBe(1);
});

test('a folder is uploaded with what lies in its folders, without what systems leave there', async ({
  studio,
  page,
}) => {
  const mark = unique('trip');
  const folder = await mkdtemp(join(tmpdir(), 'media-pipeline-folder-'));
  await mkdir(join(folder, 'inner'));
  await writeFile(join(folder, `${mark}-one.png`), paintPng({ hue: 10 }));
  await writeFile(join(folder, 'inner', `${mark}-two.png`), paintPng({ hue: 100 }));
  await writeFile(join(folder, '.DS_Store'), 'x');
  await expect(page.getByRole('button', { name: 'Choose a folder' })).toBeVisible();
  await page.locator('input[webkitdirectory]').setInputFiles(folder);
  await studio.expectPicture(studio.tile(`${mark}-one.png`).getByRole('img'));
  await studio.expectPicture(studio.tile(`${mark}-two.png`).getByRole('img'));
  await expect(page.getByText('.DS_Store')).toHaveCount(0);
  await rm(folder, { recursive: true });
});

test('a picture that is pasted arrives, and text pasted in the prompt stays text', async ({
  studio,
  page,
}) => {
  const file = pngFile(`${unique('pasted')}.png`);
  await page.evaluate(({ name, type, bytes }) => {
    const clipboardData = new DataTransfer();
    clipboardData.items.add(new File([new Uint8Array(bytes)], name, { type }));
    const event = new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true });
    document.body.dispatchEvent(event);
  }, file);
  await studio.expectPicture(studio.tile(file.name).getByRole('img'));
  const prompt = page.getByRole('textbox', { name: 'Prompt' });
  const kept = await prompt.evaluate((field) => {
    const clipboardData = new DataTransfer();
    clipboardData.setData('text/plain', 'words');
    return field.dispatchEvent(
      new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }),
    );
  });
  expect(kept).toBe(true);
});
