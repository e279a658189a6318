// Start the program on a free port, walk the browser through it, stop it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findChromium } from './chromium.mjs';

const web = fileURLToPath(new URL('..', import.meta.url));
const program = process.env.MEDIA_PIPELINE ?? join(web, '..', '.venv', 'bin', 'media-pipeline');
const READY_WITHIN = 60_000;
let stopping = false;

process.exitCode = findChromium() ? await run() : refuse();

function refuse() {
  const line = 'The browser journey needs Chromium: install it, or name one in CHROMIUM_PATH.';
  console.error(process.env.CI ? line : `SKIPPED SKIPPED SKIPPED  ${line}`);
  return process.env.CI ? 1 : 0;
}

async function run() {
  if (process.env.STUDIO_URL) return walk(process.env.STUDIO_URL);
  const state = mkdtempSync(join(tmpdir(), 'media-pipeline-journey-'));
  const port = await findPort();
  const service = start(port, state);
  try {
    await waitUntilReady(`http://localhost:${port}`, service);
    return await walk(`http://localhost:${port}`);
  } finally {
    await stop(service);
    rmSync(state, { recursive: true, force: true });
  }
}

function start(port, state) {
  const service = spawn(program, ['dev'], {
    env: { ...process.env, PORT: String(port), HOME: state, XDG_STATE_HOME: state },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  service.once('exit', (code, signal) => {
    if (!stopping)
      console.error(`The program ended in the middle of the journey: ${signal ?? code}.`);
  });
  return service;
}

async function stop(service) {
  stopping = true;
  if (service.exitCode !== null || service.signalCode !== null) return;
  service.kill('SIGTERM');
  const timer = setTimeout(() => service.kill('SIGKILL'), 15_000);
  await once(service, 'exit');
  clearTimeout(timer);
}

async function waitUntilReady(url, service) {
  const deadline = Date.now() + READY_WITHIN;
  while (Date.now() < deadline) {
    if (service.exitCode !== null) throw new Error(`The program ended with ${service.exitCode}.`);
    const answer = await fetch(`${url}/readyz`).catch(() => undefined);
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error('The program was not ready in time.');
}

async function walk(url) {
  const command = join(web, 'node_modules', '@playwright', 'test', 'cli.js');
  const args = [command, 'test', '--config', join(web, 'e2e'), ...process.argv.slice(2)];
  const env = { ...process.env, STUDIO_URL: url };
  const [code] = await once(
    spawn(process.execPath, args, { cwd: web, env, stdio: 'inherit' }),
    'exit',
  );
  return code ?? 1;
}

async function findPort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
