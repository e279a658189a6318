// Start the program as a person would, and end it again.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const program = process.env.MEDIA_PIPELINE ?? join(root, '.venv', 'bin', 'media-pipeline');
const READY_WITHIN = 60_000;
const stopping = new WeakSet();

export function start(port, state, settings) {
  const service = spawn(program, ['dev'], {
    env: { ...process.env, PORT: String(port), HOME: state, XDG_STATE_HOME: state, ...settings },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  service.once('exit', (code, signal) => {
    if (!stopping.has(service))
      console.error(`The program ended in the middle of the journey: ${signal ?? code}.`);
  });
  return service;
}

export async function stop(service, signal = 'SIGTERM') {
  if (service.exitCode !== null || service.signalCode !== null) return;
  stopping.add(service);
  service.kill(signal);
  const timer = setTimeout(() => service.kill('SIGKILL'), 15_000);
  await once(service, 'exit');
  clearTimeout(timer);
}

export async function waitUntilReady(url, service) {
  const deadline = Date.now() + READY_WITHIN;
  while (Date.now() < deadline) {
    if (service.exitCode !== null) throw new Error(`The program ended with ${service.exitCode}.`);
    const answer = await fetch(`${url}/readyz`).catch(() => undefined);
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error('The program was not ready in time.');
}

export async function findPort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
