import { expect, type Page, type Route } from '@playwright/test';
import { drag, png, unique } from './fixtures.ts';
import type { Studio } from './studio.ts';

/** The library with what `states.spec.ts` has put there, and nothing else. */
export const SCENES = '/?q=scene';

export interface State {
  page: Page;
  studio: Studio;
}

const job = (state: string, prompt: string, more: object = {}) => ({
  jobId: prompt.replaceAll(' ', '-'),
  kind: 'generate.image',
  state,
  progress: null,
  message: '',
  attempts: [],
  createdAt: '2026-01-01T00:00:00Z',
  request: { prompt },
  error: null,
  ...more,
});

const JOBS = [
  job('queued', 'a lake', { message: 'queued at provider, position 3' }),
  job('running', 'a mill by a river', { progress: 41, message: 'step 5 of 12' }),
  job('failed', 'a house', {
    error: {
      error: 'The provider is overloaded. Try again later.',
      code: 'overloaded',
      retryable: true,
    },
  }),
  job('cancelled', 'a bridge over the whole of a very wide valley, seen from far below'),
];

/** Jobs in every state that has a card, as a service would tell of them. */
export async function tellJobs(page: Page, before: () => Promise<unknown> = async () => {}) {
  const answer = async (route: Route) => {
    await before();
    const asked = new URL(route.request().url()).pathname.split('/')[2];
    const one = JOBS.find(({ jobId }) => jobId === asked);
    await route.fulfill({ json: asked ? one : { jobs: JOBS, nextCursor: null } });
  };
  await page.route(/\/jobs(\/[\w-]+)?$/, answer);
}

const first = (page: Page) =>
  page.getByRole('gridcell').first().getByRole('button', { name: /^Open/ });
const tokenless = (page: Page) =>
  page.route('**/studio/token', (route) => route.fulfill({ status: 404 }));

/** Every face of the page, and how it is reached. */
export const states: Record<string, (state: State) => Promise<void>> = {
  async new({ page }) {
    await page.route('**/media?**', (route) =>
      route.fulfill({ json: { items: [], nextCursor: null } }),
    );
    await page.goto('/?kind=');
    await expect(page.getByText('Nothing here yet')).toBeVisible();
  },
  async empty({ page }) {
    await page.goto('/?q=nothing-has-this-name');
    await expect(page.getByText('Nothing matches.')).toBeVisible();
  },
  async loading({ page }) {
    await page.route('**/media?**', () => undefined);
    await page.goto(SCENES);
    await expect(page.getByRole('status', { name: 'Loading' })).toBeVisible();
  },
  async error({ page }) {
    await page.route('**/media?**', (route) =>
      route.fulfill({ status: 500, json: { detail: 'The database is away.' } }),
    );
    await page.goto(SCENES);
    await expect(page.getByText('The database is away.')).toBeVisible();
  },
  async offline({ page, studio }) {
    await page.route(/\/(storage|m)\//, (route) => route.abort());
    await studio.open(SCENES);
    await page.context().setOffline(true);
    await expect(page.getByText('You are offline.')).toBeVisible();
    await expect(page.locator('.pu-tile-file').first()).toBeVisible();
  },
  async unauthorised({ page }) {
    await tokenless(page);
    await page.goto('/');
    await page.getByLabel('Bearer token').fill('wrong');
    await page.getByRole('button', { name: 'Continue' }).click();
    await expect(page.getByText('no longer accepts this token')).toBeVisible();
  },
  async gate({ page }) {
    await tokenless(page);
    await page.goto('/');
    await expect(page.getByLabel('Bearer token')).toBeVisible();
  },
  async unreachable({ page }) {
    await page.route('**/studio/token', (route) => route.abort());
    await page.goto('/');
    await expect(page.getByText('cannot be reached')).toBeVisible();
  },
  async jobs({ page, studio }) {
    await tellJobs(page);
    await studio.open();
    await expect(page.getByRole('article')).toHaveCount(4);
  },
  async working({ page, studio }) {
    await studio.open();
    await page.getByRole('button', { name: 'Developer' }).click();
    const prompt = unique('hills');
    await studio.generate(prompt, { Count: '2' });
    const card = studio.card(prompt);
    await card.locator('..').getByText('Code').click();
    await studio.expectPicture(card.locator('img[data-preview]').first());
  },
  async docked({ page, studio }) {
    const [done, waiting, failed] = ['done', 'waiting', 'failed'].map((name) =>
      png(`${unique(name)}.png`),
    ) as [ReturnType<typeof png>, ReturnType<typeof png>, ReturnType<typeof png>];
    await page.route('**/media/upload/init', async (route) => {
      const { filename } = route.request().postDataJSON();
      if (filename === failed.name)
        await route.fulfill({ status: 500, json: { detail: 'The database is away.' } });
      else if (filename !== waiting.name) await route.continue();
    });
    await studio.open(SCENES);
    await studio.choose(done, waiting, failed, {
      name: 'words.txt',
      mimeType: 'text/plain',
      buffer: Buffer.from('no'),
    });
    await expect(page.getByText('is not accepted here')).toBeVisible();
    await expect(studio.row(failed.name).getByText('The database is away.')).toBeVisible();
    await expect(studio.row(done.name).getByText('Uploaded')).toBeVisible();
  },
  async stalled({ page, studio }) {
    await studio.open(SCENES);
    await page.route('**/media/upload/init', async (route) => {
      await page.context().setOffline(true);
      await route.abort('internetdisconnected');
    });
    await studio.choose(png(`${unique('stalled')}.png`));
    await expect(page.getByText('Waiting for the network')).toBeVisible();
  },
  async dropping({ page, studio }) {
    await studio.open(SCENES);
    await drag(page, [{ name: 'a.png', type: 'image/png', bytes: [1] }]);
  },
  async selecting({ page, studio }) {
    await studio.open(SCENES);
    await first(page).focus();
    await page.keyboard.press('Space');
    await expect(page.getByRole('toolbar')).toBeVisible();
  },
  async undoing({ page, studio }) {
    await studio.open('/?q=scene&kind=image');
    await first(page).focus();
    await page.keyboard.press('Delete');
    await page.getByRole('button', { name: 'Undo' }).focus();
    await expect(page.getByText('Deleted 1')).toBeVisible();
  },
  async lightbox({ page, studio }) {
    await studio.open('/?q=scene&kind=image');
    await first(page).click();
    await studio.expectPicture(studio.lightbox.getByRole('img').first());
  },
  async film({ page, studio }) {
    await studio.open('/?q=scene&kind=video');
    await first(page).click();
    await expect(studio.lightbox.locator('video')).toBeVisible();
  },
  async keys({ page, studio }) {
    await studio.open();
    await page.keyboard.press('?');
    await expect(page.getByRole('dialog', { name: 'Keys' })).toBeVisible();
  },
};
