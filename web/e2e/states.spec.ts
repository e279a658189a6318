import { cpus, loadavg } from 'node:os';
import type { Page } from '@playwright/test';
import { makeFilm } from './api.ts';
import { expect, expectAccessible, png, test, unique } from './fixtures.ts';
import { SCENES, states, tellJobs } from './states.ts';
import { Studio } from './studio.ts';

/** A folder for pictures of every state, for people to look at; none are taken without it. */
const { SCREENSHOTS } = process.env;
const PHONE = { width: 320, height: 720 };
const DESKTOP = { width: 1280, height: 900 };
/** What a zoom of 200 % does to a window of 1280 by 900. */
const ZOOMED = { width: 640, height: 450 };

test.beforeAll(async ({ browser, baseURL }) => {
  const page = await browser.newPage({ baseURL: baseURL ?? '' });
  const film = makeFilm(page.request, baseURL, unique('scene'));
  const studio = new Studio(page);
  await studio.open(SCENES);
  const names = Array.from({ length: 3 }, (_, nth) => `${unique('scene')}-${nth}.png`);
  await studio.choose(...names.map(png));
  for (const name of names) await expect(studio.tile(name)).toBeVisible();
  await film;
  await page.close();
});

for (const [name, reach] of Object.entries(states)) {
  test(`axe finds nothing where the page is ${name}, wide and light, narrow and dark`, async ({
    page,
  }) => {
    await reach({ page, studio: new Studio(page) });
    await expectSound(page, `${name}-desktop-light`);
    await page.emulateMedia({ colorScheme: 'dark' });
    await look(page, `${name}-desktop-dark`);
    await page.setViewportSize(PHONE);
    await expectSound(page, `${name}-phone-dark`);
    await page.emulateMedia({ colorScheme: 'light' });
    await look(page, `${name}-phone-light`);
  });
}

const settings: Record<string, (page: Page) => Promise<void>> = {
  'forced colours': (page) => page.emulateMedia({ forcedColors: 'active' }),
  'reduced motion': (page) => page.emulateMedia({ reducedMotion: 'reduce' }),
  'right to left': (page) =>
    page.evaluate(() => {
      document.documentElement.dir = 'rtl';
    }),
  'zoomed to 200 %': (page) => page.setViewportSize(ZOOMED),
};

test('axe finds nothing however the reader has set things', async ({ page }) => {
  for (const [name, set] of Object.entries(settings)) {
    await tellJobs(page);
    await page.emulateMedia({ forcedColors: 'none', reducedMotion: 'no-preference' });
    await page.setViewportSize(DESKTOP);
    await new Studio(page).open(SCENES);
    await set(page);
    await expect(page.getByRole('article')).toHaveCount(4);
    await page.getByRole('gridcell').first().getByRole('button', { name: /^Open/ }).focus();
    await page.keyboard.press('Space');
    await expectSound(page, name.replaceAll(/\W+/g, '-'));
  }
});

test('with reduced motion nothing plays or slides by itself', async ({ page }) => {
  await page.emulateMedia({ reducedMotion: 'reduce' });
  await new Studio(page).open('/?q=scene&kind=video');
  const tile = page.getByRole('gridcell').first().getByRole('button', { name: /^Open/ });
  await tile.hover();
  const slides = await tile.evaluate((node) =>
    [node, ...node.querySelectorAll('*')].map((one) => getComputedStyle(one).transitionDuration),
  );
  expect(new Set(slides)).toEqual(new Set(['0s']));
  await expect(tile.locator('video')).toHaveCount(0);
});

/** Nothing to complain of for axe, and nothing that sticks out to the side. */
async function expectSound(page: Page, name: string) {
  await look(page, name);
  await expectAccessible(page);
  const [wide, seen] = await page.evaluate(() => [
    document.documentElement.scrollWidth,
    document.documentElement.clientWidth,
  ]);
  expect(wide).toBeLessThanOrEqual(seen ?? 0);
}

async function look(page: Page, name: string) {
  if (SCREENSHOTS) await page.screenshot({ path: `${SCREENSHOTS}/${name}.png` });
}

interface Arrival {
  paint: number;
  shift: number;
  moved: string[];
}

test('the page is there within a second, and nothing moves while it comes', async ({ page }) => {
  await page.addInitScript(() => {
    const arrival = { paint: Number.NaN, shift: 0, moved: [] as string[] };
    Object.assign(window, { arrival });
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries() as never as LayoutShift[]) {
        arrival.shift += entry.value;
        for (const { node } of entry.sources) arrival.moved.push(node?.className || `${node}`);
      }
    }).observe({ type: 'layout-shift', buffered: true });
    interface LayoutShift {
      value: number;
      sources: { node?: Element }[];
    }
  });
  const arrivals: Arrival[] = [];
  // The best of three, as other things run on the machine too.
  for (let nth = 0; nth < 3; nth += 1) {
    await page.unrouteAll();
    // The cards come after the library that stands below them.
    const listed = page.waitForResponse('**/media?**').then((response) => response.finished());
    await tellJobs(page, () => listed);
    await page.goto(SCENES);
    await expect(page.getByText('Live', { exact: true })).toBeVisible();
    await expect(page.getByRole('gridcell').first().getByRole('img')).toBeVisible();
    await expect(page.getByRole('article')).toHaveCount(4);
    arrivals.push(
      await page.evaluate(() => ({
        ...(window as never as { arrival: Arrival }).arrival,
        paint: performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? Number.NaN,
      })),
    );
  }
  const paint = Math.min(...arrivals.map((arrival) => arrival.paint));
  const shift = Math.max(...arrivals.map((arrival) => arrival.shift));
  console.log(`first contentful paint ${Math.round(paint)} ms, layout shift ${shift.toFixed(4)}`);
  expect(arrivals.flatMap(({ moved }) => moved)).toEqual([]);
  // On a machine that is busy with other things the time says nothing of the page.
  if ((loadavg()[0] ?? 0) <= cpus().length) expect(paint).toBeLessThan(1000);
});
