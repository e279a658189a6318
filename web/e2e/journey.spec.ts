import { drop, expect, png, pngFile, test, unique } from './fixtures.ts';
import { Studio } from './studio.ts';

test('a prompt becomes pictures: real progress, a partial picture, then the finished ones', async ({
  studio,
}) => {
  const prompt = unique('misty mountains at dawn');
  await studio.watch();
  await studio.generate(prompt, { Count: '4' }); // one is soon drawn, and a page shows what it has time for
  await expect(studio.card(prompt)).toBeVisible();
  await expect(studio.tile(prompt)).toHaveCount(4);
  await studio.expectPicture(studio.tile(prompt).getByRole('img').first());
  const { progress, previews } = await studio.seen();
  expect(new Set(progress).size).toBeGreaterThanOrEqual(3);
  expect(progress).toEqual([...progress].sort((a, b) => a - b));
  expect(previews.length).toBeGreaterThan(0);
  await expect(studio.card(prompt)).toBeHidden();
});

test('a short video is made and plays', async ({ studio, page }) => {
  const prompt = unique('slow waves');
  await page.getByText('Video', { exact: true }).click();
  await studio.generate(prompt, { Length: '1' });
  await studio.tile(prompt).click();
  const video = studio.lightbox.locator('video');
  await expect
    .poll(() => video.evaluate((node: HTMLVideoElement) => node.readyState))
    .toBeGreaterThanOrEqual(2);
  expect(await video.evaluate((node: HTMLVideoElement) => node.duration)).toBeGreaterThan(0.5);
  await expect
    .poll(() => video.evaluate((node: HTMLVideoElement) => node.currentTime))
    .toBeGreaterThan(0);
});

test('chosen and dropped files arrive in the library', async ({ studio, page }) => {
  const [chosen, dropped] = [unique('chosen'), unique('dropped')].map((name) => `${name}.png`) as [
    string,
    string,
  ];
  await page.locator('input[type=file][multiple]').setInputFiles(png(chosen));
  await studio.expectPicture(studio.tile(chosen).getByRole('img'));
  await drop(page, [pngFile(dropped)]);
  await studio.expectPicture(studio.tile(dropped).getByRole('img'));
});

test('a file whose confirmation fails is tried again without sending its bytes twice', async ({
  studio,
  page,
}) => {
  const name = `${unique('stubborn')}.png`;
  let puts = 0;
  page.on('request', (request) => {
    if (request.method() === 'PUT') puts += 1;
  });
  await page.route(
    '**/media/upload/complete',
    (route) => route.fulfill({ status: 500, body: '{}' }),
    { times: 1 },
  );
  await page.locator('input[type=file][multiple]').setInputFiles(png(name));
  await page.getByRole('button', { name: `Retry ${name}` }).click();
  await studio.expectPicture(studio.tile(name).getByRole('img'));
  expect(puts).toBe(1);
});

test('a file that is not what it says is refused in words', async ({ page, studio }) => {
  const name = `${unique('liar')}.png`;
  await page
    .locator('input[type=file][multiple]')
    .setInputFiles({ name, mimeType: 'image/png', buffer: Buffer.from('no picture') });
  const row = page.getByRole('listitem').filter({ hasText: name });
  await expect(row.locator('.pu-error')).not.toBeEmpty();
  await expect(row.locator('img')).toHaveCount(0);
  await expect(row.getByRole('button', { name: `Retry ${name}` })).toHaveCount(0);
  await expect(studio.tile(name)).toHaveCount(0);
});

test('the keyboard alone makes, opens, walks, closes and deletes', async ({ studio, page }) => {
  const [first, second] = [`${unique('first')}.png`, unique('second')];
  await studio.choose(png(first));
  await expect(studio.tile(first)).toBeVisible();
  await page.getByRole('textbox', { name: 'Prompt' }).focus();
  await page.keyboard.type(second);
  await page.keyboard.press('Control+Enter');
  await expect(studio.tile(second)).toBeVisible();
  await expect(async () => {
    await page.keyboard.press('Tab');
    await expect(studio.tile(second)).toBeFocused({ timeout: 1 });
  }).toPass({ intervals: [0] });
  await page.keyboard.press('Enter');
  await studio.expectPicture(studio.lightbox.getByRole('img', { name: second }));
  await page.keyboard.press('ArrowRight');
  await studio.expectPicture(studio.lightbox.getByRole('img', { name: first }));
  await page.keyboard.press('Escape');
  await expect(studio.lightbox).toBeHidden();
  await expect(studio.tile(second)).toBeFocused();
  await page.keyboard.press('Delete');
  await expect(studio.tile(second)).toHaveCount(0);
  await expect(studio.tile(first)).toBeFocused();
  await page.reload();
  await expect(studio.tile(first)).toBeVisible();
  await expect(studio.tile(second)).toHaveCount(0);
});

test('a page reloaded in the middle of a job still sees it end', async ({ studio, page }) => {
  const prompt = unique('a long river');
  await studio.generate(prompt, { Count: '6' });
  await expect(studio.card(prompt).getByRole('progressbar')).toBeVisible();
  await page.reload();
  await expect(studio.card(prompt).getByRole('progressbar')).toBeVisible();
  await expect(studio.tile(prompt)).toHaveCount(6);
  await studio.expectPicture(studio.tile(prompt).getByRole('img').first());
});

test('a second tab sees new items and deletions live', async ({ studio, context, page }) => {
  const other = new Studio(await context.newPage());
  await other.open();
  const name = `${unique('shared')}.png`;
  await page.locator('input[type=file][multiple]').setInputFiles(png(name));
  await studio.expectPicture(other.tile(name).getByRole('img'));
  await other.tile(name).focus();
  await other.page.keyboard.press('Delete');
  await expect(other.tile(name)).toHaveCount(0);
  await other.page.close({ runBeforeUnload: true });
  await expect(studio.tile(name)).toHaveCount(0);
});

test('a job is cancelled, and its card brings the request back', async ({ studio, page }) => {
  const prompt = unique('never finished');
  await studio.generate(prompt, { Count: '8' });
  await studio.card(prompt).getByRole('button', { name: 'Cancel' }).click();
  await expect(studio.card(prompt).getByText('Cancelled')).toBeVisible();
  await page.getByRole('textbox', { name: 'Prompt' }).fill('');
  await studio.card(prompt).getByRole('button', { name: 'Edit and rerun' }).click();
  await expect(page.getByRole('textbox', { name: 'Prompt' })).toHaveValue(prompt);
  await expect(page.getByRole('combobox', { name: 'Count' })).toHaveValue('8');
  await studio.card(prompt).getByRole('button', { name: 'Dismiss' }).click();
  await expect(studio.card(prompt)).toHaveCount(0);
});

test('a page that was offline says so, and catches up', async ({ studio, context, browser }) => {
  const elsewhere = await browser.newContext();
  const other = new Studio(await elsewhere.newPage());
  await other.open();
  await context.setOffline(true);
  await expect(studio.page.getByText('Offline', { exact: true })).toBeVisible();
  const name = `${unique('meanwhile')}.png`;
  await other.page.locator('input[type=file][multiple]').setInputFiles(png(name));
  await expect(other.tile(name)).toBeVisible();
  await expect(studio.tile(name)).toHaveCount(0);
  await context.setOffline(false);
  await studio.expectPicture(studio.tile(name).getByRole('img'));
  await expect(studio.page.getByText('Live', { exact: true })).toBeVisible();
  await elsewhere.close();
});

test('without a token of its own the page asks for one, and works with it', async ({
  page,
  request,
  baseURL,
}) => {
  const answer = await request.get('/studio/token', { headers: { Origin: baseURL ?? '' } });
  const { token } = await answer.json();
  await page.route('**/studio/token', (route) => route.fulfill({ status: 404 }));
  await page.goto('/');
  await page.getByLabel('Bearer token').fill('wrong');
  await page.getByRole('button', { name: 'Continue' }).click();
  await expect(page.getByText('no longer accepts this token')).toBeVisible();
  await expect(page.getByText('Nothing here yet')).toHaveCount(0);
  await page.getByRole('textbox', { name: 'Prompt' }).fill('kept while signing in');
  await page.getByLabel('Bearer token').fill(token);
  await page.getByRole('button', { name: 'Continue' }).click();
  await expect(page.getByText('Live', { exact: true })).toBeVisible();
  await expect(page.getByRole('textbox', { name: 'Prompt' })).toHaveValue('kept while signing in');
  await expect(page.getByRole('region', { name: 'Library' }).getByRole('alert')).toHaveCount(0);
});

test('on a phone of 320 pixels one makes here and keeps there, and nothing sticks out', async ({
  studio,
  page,
}) => {
  await page.setViewportSize({ width: 320, height: 720 });
  const width = () => page.evaluate(() => document.documentElement.scrollWidth);
  const prompt = unique('a-very-long-word-without-any-place-to-break-it-anywhere-at-all');
  await studio.generate(prompt);
  await expect(studio.card(prompt)).toBeVisible();
  await expect(page.getByRole('region', { name: 'Library' })).toBeHidden();
  expect(await width()).toBe(320);
  await page.getByRole('button', { name: 'Library' }).click();
  await expect(page.getByRole('textbox', { name: 'Prompt' })).toBeHidden();
  await studio.expectPicture(studio.tile(prompt).getByRole('img'));
  expect(await width()).toBe(320);
  await studio.tile(prompt).click();
  await expect(studio.lightbox.getByRole('button', { name: 'Close' })).toBeInViewport();
  await studio.lightbox.getByRole('button', { name: 'Close' }).click();
  await page.getByRole('button', { name: 'Create' }).click();
  await expect(page.getByRole('textbox', { name: 'Prompt' })).toBeVisible();
});
