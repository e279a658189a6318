import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { paintPng } from './picture.ts';
import { findPort, start, stop, waitUntilReady } from './program.mjs';
import { Studio } from './studio.ts';

const SAFETY = { code: 'moderation_blocked', message: 'Refused by the safety system.' };

let site: Server;
let service: ChildProcess;
let state: string;
let url: string;
/** Whether the other side does what it is asked for. */
let willing = false;

/** A provider with OpenAI's API, and a site with a picture. */
function makeSite(): Server {
  return createServer((request, response) => {
    const made = paintPng({ hue: 140 });
    const frame = { type: 'image_generation.completed', b64_json: made.toString('base64') };
    request.resume();
    request.on('end', () => {
      if (request.method === 'POST' && willing)
        response
          .setHeader('Content-Type', 'text/event-stream')
          .end(`event: ${frame.type}\ndata: ${JSON.stringify(frame)}\n\n`);
      else if (request.method === 'POST')
        response
          .writeHead(400, { 'Content-Type': 'application/json' })
          .end(JSON.stringify({ error: SAFETY }));
      else if (willing) response.setHeader('Content-Type', 'image/png').end(made);
      else response.writeHead(404).end();
    });
  });
}

test.beforeAll(async () => {
  site = makeSite().listen(0, '127.0.0.1');
  await once(site, 'listening');
  state = await mkdtemp(join(tmpdir(), 'media-pipeline-failure-'));
  const port = await findPort();
  url = `http://localhost:${port}`;
  service = start(port, state, {
    OPENAI_API_KEY: 'any',
    OPENAI_BASE_URL: `${addressOf(site)}/v1`,
    MEDIA_PROVIDERS: 'openai',
    MEDIA_FETCH_HTTP: 'true',
    MEDIA_FETCH_NETWORKS: '127.0.0.0/8',
  });
  await waitUntilReady(url, service);
});

test.afterAll(async () => {
  await stop(service);
  site.close();
  await rm(state, { recursive: true, force: true });
});

test.beforeEach(() => {
  willing = false;
});

const addressOf = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

test('a refused prompt says why, and is tried again with a click', async ({ page }) => {
  const studio = new Studio(page);
  await studio.open(url);
  await studio.generate('a quiet harbour');
  const card = studio.card('a quiet harbour');
  await expect(card.getByRole('alert')).not.toBeEmpty();
  await expect(card.getByRole('progressbar')).toHaveCount(0);
  await page.reload();
  await expect(card.getByRole('alert')).not.toBeEmpty();
  willing = true;
  await card.getByRole('button', { name: 'Retry' }).click();
  await studio.expectPicture(studio.tile('a quiet harbour').getByRole('img'));
  await expect(card.getByRole('alert')).toHaveCount(0);
});

test('a file is imported from its address, once that answers', async ({ page }) => {
  const studio = new Studio(page);
  await studio.open(url);
  const field = page.getByLabel('Address to import from');
  await field.fill('http://10.0.0.1/private.png');
  await field.press('Enter');
  await expect(page.locator('.import .pu-error')).not.toBeEmpty();
  await field.fill(`${addressOf(site)}/harbour.png`);
  await field.press('Enter');
  await expect(page.getByText('It is being fetched')).toBeVisible();
  const card = studio.card('harbour.png');
  await expect(card.getByRole('alert')).not.toBeEmpty();
  willing = true;
  await card.getByRole('button', { name: 'Retry' }).click();
  await studio.expectPicture(studio.tile('harbour.png').getByRole('img'));
});
