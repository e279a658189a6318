// How long our library and React Aria's virtualised grid list need for many items, in the same run.
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { chromium } from '@playwright/test';
import { build } from 'vite';
import { findChromium, flags } from '../../../e2e/chromium.mjs';

const { values } = parseArgs({
  options: {
    items: { type: 'string', default: '10000' },
    rounds: { type: 'string', default: '7' },
    check: { type: 'boolean', default: false },
  },
});
const count = Number(values.items);
const targets = { mount: 50, insert: 35, times: 5 };

const server = await serve(await bundle());
const browser = await chromium.launch({ executablePath: findChromium(), args: flags });
const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
await page.goto(`http://127.0.0.1:${server.address().port}/`);
const measured = { ours: [], aria: [] };
// One round of each first, unmeasured, so that neither pays for compiling.
for (const kind of Object.keys(measured)) await ask(kind);
for (let round = 0; round < Number(values.rounds); round += 1)
  for (const kind of Object.keys(measured)) measured[kind].push(await ask(kind));
await browser.close();
server.close();
process.exitCode = report() || !values.check ? 0 : 1;

function ask(kind) {
  return page.evaluate(([kind, count]) => window.measure(kind, count), [kind, count]);
}

function report() {
  const verdicts = ['mount', 'insert'].map((step) => {
    const [ours, aria] = [median('ours', step), median('aria', step)];
    const reached = ours < targets[step] && aria / ours >= targets.times;
    const line = [
      reached ? 'ok  ' : 'MISS',
      `${step} of ${count}:`.padEnd(18),
      `ours ${ours.toFixed(1)} ms (under ${targets[step]}),`,
      `React Aria ${aria.toFixed(1)} ms, ${(aria / ours).toFixed(1)} times (at least ${targets.times})`,
    ];
    console.log(line.join(' '));
    return reached;
  });
  console.log(
    `tiles in the page: ours ${median('ours', 'tiles')}, React Aria ${median('aria', 'tiles')}`,
  );
  return verdicts.every(Boolean);
}

function median(kind, step) {
  const sorted = measured[kind].map((one) => one[step]).sort((a, b) => a - b);
  return sorted[sorted.length >> 1];
}

async function bundle() {
  const { output } = await build({
    root: fileURLToPath(new URL('.', import.meta.url)),
    configFile: false,
    logLevel: 'error',
    define: { 'process.env.NODE_ENV': '"production"' },
    resolve: { conditions: ['@project/source', 'module', 'browser', 'production'] },
    build: {
      write: false,
      target: 'es2022',
      cssTarget: 'esnext',
      rolldownOptions: { input: fileURLToPath(new URL('page.tsx', import.meta.url)) },
    },
  });
  return output.find(({ type }) => type === 'chunk').code;
}

async function serve(script) {
  const html =
    '<!doctype html><meta charset="utf-8"><body style="margin:16px"><script type="module" src="/page.js"></script>';
  const made = createServer((request, response) => {
    const isScript = request.url === '/page.js';
    response.setHeader('Content-Type', isScript ? 'text/javascript' : 'text/html');
    response.end(isScript ? script : html);
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => made.once('listening', resolve));
  return made;
}
