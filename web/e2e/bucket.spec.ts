import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { test as base, expect, type Page, type Route } from '@playwright/test';
import { makeFilm } from './api.ts';
import { control, hashOf, logOf, signLongAgo, type Ticket } from './fake.ts';
import { paintPng } from './picture.ts';
import { Studio } from './studio.ts';

const STUDIO = process.env.BUCKET_STUDIO_URL;
const MIB = 1024 * 1024;
// Of the first PUTs to a session, as the fake throws its dice, the 3rd, 5th and 7th are cut half-way:
// always chunks, whether the page asks after a cut or the browser by itself sends the chunk once more.
const CUTS = { kind: 'cut', method: 'PUT', contains: 'upload_id', share: 0.33, times: 3 };
const SEED = 24;
const BIG = Number(process.env.BIG_UPLOAD_MIB ?? 40) * MIB;

const test = base.extend<{ studio: Studio; folder: string }>({
  baseURL: STUDIO,
  studio: async ({ page }, use) => {
    const studio = new Studio(page);
    await studio.open();
    await use(studio);
  },
  // biome-ignore lint/correctness/noEmptyPattern: Playwright wants the pattern
  folder: async ({}, use) => {
    const folder = await mkdtemp(join(tmpdir(), 'media-pipeline-files-'));
    await use(folder);
    await rm(folder, { recursive: true, force: true });
  },
});
test.skip(!STUDIO, 'a studio that is already running may have any store');
test.afterEach(() => control({ faults: [] }));

const unique = (words: string) => `${words} ${randomUUID().slice(0, 8)}`;

/** A small film and a box that players skip, so that a real film has any size. */
async function writeFilm(page: Page, file: string, size: number): Promise<string> {
  const film = await page.request.get(await makeFilm(page.request, STUDIO));
  const head = await film.body();
  const box = Buffer.alloc(8);
  box.writeUInt32BE(size - head.length, 0);
  box.write('free', 4, 'latin1');
  const hash = createHash('sha256');
  async function* pieces() {
    yield head;
    yield box;
    for (let left = size - head.length - 8; left > 0; left -= MIB)
      yield randomBytes(Math.min(left, MIB));
  }
  async function* hashed() {
    for await (const piece of pieces()) {
      hash.update(piece);
      yield piece;
    }
  }
  await pipeline(hashed, createWriteStream(file));
  return hash.digest('hex');
}

/** Let the page believe that `init` answered something else. */
async function bend(page: Page, change: (ticket: Ticket) => Promise<Ticket> | Ticket) {
  await page.route('**/media/upload/init', async (route: Route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: await change(await response.json()) });
  });
}

async function refusedPut(page: Page, name: string): Promise<[status: number, code: string]> {
  const refused = page.waitForResponse((answer) => answer.request().method() === 'PUT');
  await page.locator('input[type=file][multiple]').setInputFiles(png(name));
  const answer = await refused;
  return [answer.status(), /<Code>(\w+)/.exec(await answer.text())?.[1] ?? ''];
}

const png = (name: string) => ({ name, mimeType: 'image/png', buffer: paintPng({ hue: 90 }) });
const errorOf = (page: Page, name: string) =>
  page.getByRole('listitem').filter({ hasText: name }).locator('.pu-error');

test('a big film goes up in chunks through three cuts, and arrives byte for byte', async ({
  studio,
  page,
  folder,
}) => {
  test.slow();
  const name = `${unique('big film')}.mp4`;
  const file = join(folder, name);
  const hash = await writeFilm(page, file, BIG);
  await control({ faults: [CUTS], seed: SEED });
  const begun = page.waitForResponse('**/media/upload/init');
  await page.locator('input[type=file][multiple]').setInputFiles(file);
  const ticket: Ticket = await (await begun).json();
  await expect(studio.tile(name)).toBeVisible({ timeout: 90_000 });
  expect(await hashOf(ticket.objectPath)).toBe(hash);
  const puts = (await logOf(ticket.objectPath)).filter(({ method }) => method === 'PUT');
  expect(puts.filter(({ fault }) => fault === 'cut')).toHaveLength(3);
  expect(puts.filter(({ status }) => status === 308).length).toBeGreaterThanOrEqual(4);
  expect((await control()).open_sessions).toBe(0);
});

test('a small picture goes up in one PUT and is shown from the bucket', async ({
  studio,
  page,
}) => {
  const name = `${unique('small')}.png`;
  await page.locator('input[type=file][multiple]').setInputFiles(png(name));
  await studio.expectPicture(studio.tile(name).getByRole('img'));
  const source = await studio.tile(name).getByRole('img').getAttribute('src');
  expect(new URL(source ?? '', STUDIO).pathname).toMatch(/^\/m\/[\w-]+$/);
});

test('a wrong signature is refused, and the page says whom to tell', async ({ studio, page }) => {
  const name = `${unique('forged')}.png`;
  await bend(page, ({ uploadURL, ...rest }) => ({
    ...rest,
    uploadURL: uploadURL.replace(/.$/, (last) => (last === '0' ? '1' : '0')),
  }));
  expect(await refusedPut(page, name)).toEqual([403, 'SignatureDoesNotMatch']);
  await expect(errorOf(page, name)).toContainText('tell whoever runs this service');
  await expect(studio.tile(name)).toHaveCount(0);
});

test('a permission that ran out is renewed once, then the page says so', async ({
  studio,
  page,
}) => {
  const name = `${unique('late')}.png`;
  await bend(page, async (ticket) => ({ ...ticket, uploadURL: await signLongAgo(ticket) }));
  expect(await refusedPut(page, name)).toEqual([400, 'ExpiredToken']);
  await expect(errorOf(page, name)).toContainText('ran out. Try again.');
  await page.unroute('**/media/upload/init');
  await page.getByRole('button', { name: `Retry ${name}` }).click();
  await studio.expectPicture(studio.tile(name).getByRole('img'));
});

test('another content type than was signed is refused', async ({ studio, page }) => {
  const name = `${unique('disguised')}.png`;
  await bend(page, ({ headers, ...rest }) => ({
    ...rest,
    headers: { ...headers, 'Content-Type': 'image/jpeg' },
  }));
  expect(await refusedPut(page, name)).toEqual([403, 'SignatureDoesNotMatch']);
  await expect(errorOf(page, name)).toContainText('tell whoever runs this service');
  await expect(studio.tile(name)).toHaveCount(0);
});

test('a byte more than was announced is refused', async ({ studio, page }) => {
  const name = `${unique('grown')}.png`;
  await page.route('**/media/upload/init', (route) => {
    const { size, ...rest } = route.request().postDataJSON();
    return route.continue({ postData: JSON.stringify({ ...rest, size: size - 1 }) });
  });
  expect(await refusedPut(page, name)).toEqual([400, 'EntityTooLarge']);
  await expect(errorOf(page, name)).toContainText('Choose it again.');
  await expect(studio.tile(name)).toHaveCount(0);
});

test('an address that was used takes nothing more, and the page says what to do', async ({
  studio,
  page,
}) => {
  const [first, second] = [`${unique('first')}.png`, `${unique('second')}.png`];
  const begun = page.waitForResponse('**/media/upload/init');
  await page.locator('input[type=file][multiple]').setInputFiles(png(first));
  const { uploadURL, headers }: Ticket = await (await begun).json();
  await expect(studio.tile(first)).toBeVisible();
  await bend(page, ({ objectPath, ...rest }) => ({ ...rest, objectPath, uploadURL, headers }));
  expect(await refusedPut(page, second)).toEqual([412, 'PreconditionFailed']);
  await expect(errorOf(page, second)).toContainText('The bytes are not there');
  await expect(studio.tile(second)).toHaveCount(0);
  await studio.expectPicture(studio.tile(first).getByRole('img'));
});
