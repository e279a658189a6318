import { expect, png, test, unique } from './fixtures.ts';

test('several are deleted and had back; deleted again and left, they are gone for good', async ({
  studio,
  page,
}) => {
  const mark = unique('bulk');
  const names = ['a', 'b', 'c'].map((letter) => `${mark}-${letter}.png`);
  await studio.choose(...names.map(png));
  await page.getByRole('searchbox', { name: 'Search the library' }).fill(mark);
  for (const name of names) await expect(studio.tile(name)).toBeVisible();
  let asked = 0;
  page.on('request', (request) => {
    if (request.url().endsWith('/media/delete')) asked += 1;
  });
  const rows = page.getByRole('gridcell');
  await rows
    .first()
    .getByRole('button', { name: /^Select/ })
    .click();
  await rows
    .last()
    .getByRole('button', { name: /^Open/ })
    .click({ modifiers: ['Shift'] });
  await expect(page.getByRole('toolbar', { name: '3 selected' })).toBeVisible();
  await page.getByRole('toolbar').getByRole('button', { name: 'Delete' }).click();
  await expect(rows).toHaveCount(0);
  await page.getByRole('button', { name: 'Undo' }).click();
  await expect(rows).toHaveCount(3);
  expect(asked).toBe(0);
  await rows.first().getByRole('button', { name: /^Open/ }).focus();
  await page.keyboard.press('Control+a');
  await page.keyboard.press('Delete');
  await expect(rows).toHaveCount(0);
  await page.reload();
  await expect(page.getByText('Nothing matches.')).toBeVisible();
});

test('the view stands in the address: it is shared, and Back leaves it', async ({
  studio,
  page,
}) => {
  const name = `${unique('address')}.png`;
  await studio.choose(png(name));
  await expect(studio.tile(name)).toBeVisible();
  await page.getByRole('combobox', { name: 'Source' }).selectOption('generated');
  await expect(studio.tile(name)).toHaveCount(0);
  await page.getByRole('combobox', { name: 'Source' }).selectOption('upload');
  await expect(studio.tile(name)).toBeVisible();
  await page.reload();
  await expect(page.getByRole('combobox', { name: 'Source' })).toHaveValue('upload');
  await page.goBack();
  await expect(page.getByRole('combobox', { name: 'Source' })).toHaveValue('generated');
});

test('a picture is renamed, and another is made of it, from the lightbox', async ({
  studio,
  page,
}) => {
  const [name, renamed] = [`${unique('plain')}.png`, `${unique('named')}.png`];
  await studio.choose(png(name));
  await studio.tile(name).click();
  await studio.lightbox.getByLabel('Name', { exact: true }).fill(renamed);
  await studio.lightbox.getByRole('button', { name: 'Save' }).click();
  await expect(studio.lightbox.getByText('Saved.')).toBeVisible();
  await studio.lightbox.getByLabel('Make of it').selectOption('As WebP');
  await expect(studio.lightbox.getByText('being made')).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(studio.tile(renamed)).not.toHaveCount(0);
  await page.getByRole('combobox', { name: 'Source' }).selectOption('process');
  await expect(page.getByRole('gridcell').first()).toBeVisible();
});

test('at twice the size nothing is cut off, and the way through by keys stays the same', async ({
  studio,
  page,
}) => {
  // What a zoom of 200 % does to a window of 1280 by 900.
  await page.setViewportSize({ width: 640, height: 450 });
  const name = `${unique('zoomed')}.png`;
  await studio.choose(png(name));
  await studio.tile(name).focus();
  await page.keyboard.press('Enter');
  await expect(studio.lightbox.getByRole('button', { name: 'Close' })).toBeInViewport();
  await expect(studio.lightbox.getByRole('button', { name: 'Save' })).toBeAttached();
  await page.keyboard.press('Escape');
  await expect(studio.tile(name)).toBeFocused();
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(640);
});

test('the raw events are listed as they come, and each card shows how it was asked for', async ({
  studio,
  page,
}) => {
  await page.getByRole('button', { name: 'Developer' }).click();
  const prompt = unique('observed');
  await studio.generate(prompt, { Count: '4' });
  const card = studio.card(prompt).locator('..');
  await card.getByText('Code').click();
  await expect(card.getByText('/generate/image')).toBeVisible();
  await card.getByRole('button', { name: 'React', exact: true }).click();
  await expect(card.getByText('useGenerate(')).toBeVisible();
  const log = page.getByRole('list', { name: 'Event log' });
  await expect(log.getByText('generation_complete').first()).toBeVisible();
  await expect(log.getByText('generation_progress').first()).toBeVisible();
});
