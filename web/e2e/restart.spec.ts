import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { findPort, start, stop, waitUntilReady } from './program.mjs';
import { Studio } from './studio.ts';

test('a job goes on when the service is killed in its middle and comes back', async ({ page }) => {
  const state = await mkdtemp(join(tmpdir(), 'media-pipeline-restart-'));
  const port = await findPort();
  const url = `http://localhost:${port}`;
  const settings = { STORAGE_DIR: join(state, 'objects') };
  let service = start(port, state, settings);
  try {
    await waitUntilReady(url, service);
    const studio = new Studio(page);
    await studio.open(url);
    await studio.generate('a river without end', { Count: '4' });
    await expect(studio.card('a river').getByRole('progressbar')).toBeVisible();
    await stop(service, 'SIGKILL');
    await expect(page.getByText('Live', { exact: true })).toBeHidden();
    service = start(port, state, settings);
    await waitUntilReady(url, service);
    await expect(page.getByText('Live', { exact: true })).toBeVisible();
    await expect(studio.tile('a river')).toHaveCount(4, { timeout: 50_000 });
    await studio.expectPicture(studio.tile('a river').getByRole('img').first());
  } finally {
    await stop(service);
    await rm(state, { recursive: true, force: true });
  }
});
