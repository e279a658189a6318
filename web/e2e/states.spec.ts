import { cpus, loadavg } from 'node:os';
import AxeBuilder from '@axe-core/playwright';
import type { Page } from '@playwright/test';
import { expect, png, test, unique } from './fixtures.ts';
import { Studio } from './studio.ts';

interface Scene {
  page: Page;
  studio: Studio;
}

/** Where the pictures of the states go, for people to look at; none are taken without it. */
const PICTURES = process.env.PICTURES;
const PHONE = { width: 390, height: 844 };
const DESKTOP = { width: 1280, height: 900 };

const states: Record<string, (scene: Scene) => Promise<void>> = {
  async empty({ page }) {
    await page.goto('/?q=nothing-has-this-name');
    await expect(page.getByText('Nothing matches.')).toBeVisible();
  },
  async loading({ page }) {
    await page.route('**/media?**', () => undefined);
    await page.goto('/');
    await expect(page.getByRole('status', { name: 'Loading' })).toBeVisible();
  },
  async error({ page }) {
    await page.route('**/media?**', (route) =>
      route.fulfill({ status: 500, json: { detail: 'The database is away.' } }),
    );
    await page.goto('/');
    await expect(page.getByText('The database is away.')).toBeVisible();
  },
  async offline({ page, studio }) {
    await studio.open();
    await page.context().setOffline(true);
    await expect(page.getByText('Offline', { exact: true })).toBeVisible();
  },
  async unauthorised({ page }) {
    await page.route('**/studio/token', (route) => route.fulfill({ status: 404 }));
    await page.goto('/');
    await page.getByLabel('Bearer token').fill('wrong');
    await page.getByRole('button', { name: 'Continue' }).click();
    await expect(page.getByText('no longer accepts this token')).toBeVisible();
  },
  async gate({ page }) {
    await page.route('**/studio/token', (route) => route.fulfill({ status: 404 }));
    await page.goto('/');
    await expect(page.getByLabel('Bearer token')).toBeVisible();
  },
  async working({ page, studio }) {
    await studio.open();
    await page.getByRole('button', { name: 'Developer' }).click();
    const prompt = unique('hills');
    await studio.generate(prompt, { Count: '4' });
    await studio.card(prompt).locator('..').getByText('Code').click();
    await studio.choose(png(`${unique('docked')}.png`), {
      name: 'words.txt',
      mimeType: 'text/plain',
      buffer: Buffer.from('no'),
    });
    await expect(page.getByText('is not accepted here')).toBeVisible();
  },
  async selecting({ page, studio }) {
    await studio.open();
    await page.getByRole('gridcell').first().getByRole('button', { name: /^Open/ }).focus();
    await page.keyboard.press('Space');
    await expect(page.getByRole('toolbar')).toBeVisible();
  },
  async undoing({ page, studio }) {
    await studio.open();
    await page.getByRole('gridcell').first().getByRole('button', { name: /^Open/ }).focus();
    await page.keyboard.press('Delete');
    await page.getByRole('button', { name: 'Undo' }).hover();
    await expect(page.getByText('Deleted 1')).toBeVisible();
  },
  async lightbox({ page, studio }) {
    await studio.open();
    await page.getByRole('gridcell').first().getByRole('button', { name: /^Open/ }).click();
    await expect(studio.lightbox).toBeVisible();
  },
  async keys({ page, studio }) {
    await studio.open();
    await page.keyboard.press('?');
    await expect(page.getByRole('dialog', { name: 'Keys' })).toBeVisible();
  },
};

test.beforeAll(async ({ browser, baseURL }) => {
  const studio = new Studio(await browser.newPage({ baseURL: baseURL ?? '' }));
  await studio.open();
  const names = Array.from({ length: 3 }, (_, nth) => `${unique('scene')}-${nth}.png`);
  await studio.choose(...names.map(png));
  for (const name of names) await expect(studio.tile(name)).toBeVisible();
  await studio.page.close();
});

for (const [name, reach] of Object.entries(states)) {
  test(`axe finds nothing where the page is ${name}, light and dark, wide and narrow`, async ({
    page,
  }) => {
    await reach({ page, studio: new Studio(page) });
    const looks = { desktop: DESKTOP, phone: PHONE };
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      for (const [width, viewport] of Object.entries(looks)) {
        // Each theme and each width once, unless people want to look at all four.
        const judged = (width === 'phone') === (colorScheme === 'dark');
        if (!judged && !PICTURES) continue;
        await page.setViewportSize(viewport);
        if (PICTURES)
          await page.screenshot({ path: `${PICTURES}/${name}-${width}-${colorScheme}.png` });
        if (judged) expect(await complaintsOf(page)).toEqual([]);
      }
    }
  });
}

async function complaintsOf(page: Page): Promise<string[]> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  return violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`);
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
    await page.goto('/');
    await expect(page.getByText('Live', { exact: true })).toBeVisible();
    await expect(page.getByRole('gridcell').first().getByRole('img')).toBeVisible();
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
