// Install the packed packages into a copy of examples/react-app, compile and build it, and upload a picture
// with it in a real browser to a running `media-pipeline dev`.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from '@playwright/test';
import { findChromium, flags } from '../e2e/chromium.mjs';
import { paintPng } from '../e2e/picture.ts';

const web = fileURLToPath(new URL('..', import.meta.url));
const program = process.env.MEDIA_PIPELINE ?? join(web, '..', '.venv', 'bin', 'media-pipeline');
const folder = mkdtempSync(join(tmpdir(), 'media-pipeline-example-'));
const app = join(folder, 'app');
const started = [];

try {
  install();
  const [servicePort, pagePort] = [await findPort(), await findPort()];
  const page = `http://localhost:${pagePort}`;
  const env = {
    ...process.env,
    HOME: folder,
    XDG_STATE_HOME: folder,
    PORT: String(servicePort),
    PUBLIC_URL: page,
  };
  const token = execFileSync(program, ['token', '--user', 'example'], { env, encoding: 'utf8' });
  npm(['run', 'check']);
  npm(['run', 'build'], { VITE_MEDIA_TOKEN: token.trim() });
  start(program, ['dev'], { env });
  // Node itself, for a launcher in between would not hand the signal on.
  const vite = join(app, 'node_modules', 'vite', 'bin', 'vite.js');
  start(process.execPath, [vite, 'preview', '--port', String(pagePort), '--strictPort'], {
    cwd: app,
    env: { ...process.env, SERVICE_URL: `http://localhost:${servicePort}` },
  });
  await Promise.all([waitFor(`http://localhost:${servicePort}/readyz`), waitFor(page)]);
  await upload(page);
  console.log('The packed packages install, compile, build and upload.');
} finally {
  for (const child of started.reverse()) await stop(child);
  rmSync(folder, { recursive: true, force: true });
}

function install() {
  cpSync(join(web, '..', 'examples', 'react-app'), app, {
    recursive: true,
    filter: (path) => !/\/(node_modules|dist|packed)$/.test(path),
  });
  const packed = join(app, 'packed');
  mkdirSync(packed);
  const workspaces = ['-w', '@project/realtime', '-w', '@project/ui'];
  npm(['pack', ...workspaces, '--pack-destination', packed], {}, web);
  npm(['install', '--prefer-offline', '--no-audit', '--no-fund']);
}

async function upload(address) {
  const browser = await chromium.launch({ executablePath: findChromium(), args: flags });
  try {
    const page = await browser.newPage();
    const complaints = [];
    page.on('console', (line) => {
      if (line.type() === 'error' || line.type() === 'warning') complaints.push(line.text());
    });
    page.on('pageerror', (error) => complaints.push(String(error)));
    await page.goto(address);
    const picture = { name: 'dawn.png', mimeType: 'image/png', buffer: paintPng() };
    await page.locator('input[type=file]').first().setInputFiles(picture);
    const shown = page.locator('img[src*="/storage/"]').first();
    await shown.waitFor({ timeout: 30_000 });
    const width = await shown.evaluate((image) => image.decode().then(() => image.naturalWidth));
    assert.ok(width > 0, 'the uploaded picture is shown');
    const styles = await page.locator('style[data-href]').count();
    assert.equal(styles, 1, 'the styles came with the components');
    assert.deepEqual(complaints, [], 'the browser complains of nothing');
  } finally {
    await browser.close();
  }
}

function npm(args, more = {}, cwd = app) {
  const env = { ...process.env, ...more };
  // Run by npm itself, this script would hand its workspace's settings on.
  for (const name of Object.keys(env))
    if (/^npm_(config|package|lifecycle)_/.test(name)) delete env[name];
  execFileSync('npm', [...args, '--loglevel=error'], {
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

function start(command, args, options) {
  started.push(spawn(command, args, { ...options, stdio: ['ignore', 'ignore', 'inherit'] }));
}

async function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 15_000);
  await once(child, 'exit');
  clearTimeout(timer);
}

async function waitFor(url) {
  const deadline = Date.now() + 60_000;
  while (Date.now() < deadline) {
    if (started.some(({ exitCode }) => exitCode !== null)) throw new Error('A process has ended.');
    const answer = await fetch(url).catch(() => undefined);
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${url} was not ready in time.`);
}

async function findPort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
