// A browser's own `EventSource`, on the service's page: every event as a line of JSON.
import { chromium } from '@playwright/test';
import { findChromium, flags } from '../chromium.mjs';
import { NAMES, print } from './events.mjs';

const [address, token, place] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: findChromium(), args: flags });
const page = await browser.newPage();
await page.exposeFunction('print', print);
await page.goto(`${address}/healthz`);
await page.evaluate(
  ({ token, place, names }) => {
    // biome-ignore lint/suspicious/noDocumentCookie: what an integrator's page does
    if (place === 'cookie') document.cookie = `media_token=${token}; SameSite=Strict; Path=/events`;
    const query = place === 'query' ? `?access_token=${token}` : '';
    const source = new EventSource(`/events${query}`);
    for (const name of names) {
      source.addEventListener(name, ({ data, lastEventId }) =>
        window.print(name, data, lastEventId),
      );
    }
    source.addEventListener('error', () => window.print('error', '{}', ''));
  },
  { token, place, names: NAMES },
);
process.on('SIGTERM', () => browser.close());
