import { readToken } from './api.ts';
import { expect, test } from './fixtures.ts';
import { Studio } from './studio.ts';

/** The pictures of the README go to this folder; without it none are taken. */
const { SCREENSHOTS } = process.env;
const PROMPTS = [
  'Sailing boats on a still sea at sunset',
  'Misty mountains at dawn, pink and violet',
  'Rolling dunes under a crescent moon, night',
  'Boats on a teal lake in the morning',
  'Autumn forest in golden light',
  'A city in the fog, grey',
];

test('the pictures of the README', async ({ studio, page, baseURL }) => {
  test.skip(!SCREENSHOTS, 'only for people');
  const headers = { Authorization: `Bearer ${await readToken(page.request, baseURL)}` };
  const ask = (kind: string, data: object) =>
    page.request.post(`/generate/${kind}`, { headers, data });
  for (const [nth, prompt] of PROMPTS.entries())
    await ask('image', { prompt, n: 2, seed: 40 + nth });
  await ask('video', { prompt: 'Boats on a lake at night', seconds: 2, seed: 7 });
  for (const prompt of PROMPTS) await expect(studio.tile(prompt)).toHaveCount(2);
  await expect(studio.tile('Boats on a lake at night')).toBeVisible();
  // Anew, without the cards of what has just been made.
  await studio.open();
  await studio.generate('Northern lights over a quiet lake', { Count: '2' });
  await studio.expectPicture(page.locator('img[data-preview]').first());
  await page.screenshot({ path: `${SCREENSHOTS}/studio.png` });
  await expect(studio.tile('Northern lights')).toHaveCount(2);
  await page.setViewportSize({ width: 390, height: 844 });
  await page.emulateMedia({ colorScheme: 'dark' });
  await new Studio(page).open('/');
  await page.getByRole('button', { name: 'Library' }).click();
  await studio.expectPicture(studio.tile('Northern lights').first().getByRole('img'));
  await page.screenshot({ path: `${SCREENSHOTS}/studio-phone.png` });
});
