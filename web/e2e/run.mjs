// Start the program twice on free ports, once over a fake of Google Cloud Storage; walk the browser
// through both, stop them.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findChromium } from './chromium.mjs';
import { findPort, start, stop, waitUntilReady } from './program.mjs';

const web = fileURLToPath(new URL('..', import.meta.url));
const python = process.env.PYTHON ?? join(web, '..', '.venv', 'bin', 'python');
const BUCKET = 'journey-bucket';

process.exitCode = findChromium() ? await run() : refuse();

function refuse() {
  const line = 'The browser journey needs Chromium: install it, or name one in CHROMIUM_PATH.';
  console.error(process.env.CI ? line : `SKIPPED SKIPPED SKIPPED  ${line}`);
  return process.env.CI ? 1 : 0;
}

async function run() {
  if (process.env.STUDIO_URL) return walk({});
  const state = mkdtempSync(join(tmpdir(), 'media-pipeline-journey-'));
  const [memory, bucket] = [await findPort(), await findPort()];
  const [studio, bucketStudio] = [`http://localhost:${memory}`, `http://localhost:${bucket}`];
  const started = [];
  try {
    const fake = spawn(python, ['-m', 'tests.servers.gcs'], {
      cwd: join(web, '..'),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    started.push(fake);
    const gcs = String((await once(fake.stdout, 'data'))[0]).trim();
    started.push(start(memory, join(state, 'memory'), {}));
    started.push(start(bucket, join(state, 'bucket'), await makeBucket(gcs, bucketStudio)));
    await waitUntilReady(studio, started[1]);
    await waitUntilReady(bucketStudio, started[2]);
    return await walk({
      STUDIO_URL: studio,
      BUCKET_STUDIO_URL: bucketStudio,
      FAKE_GCS_URL: gcs,
      FAKE_GCS_BUCKET: BUCKET,
    });
  } finally {
    await Promise.all(started.reverse().map((one) => stop(one)));
    rmSync(state, { recursive: true, force: true });
  }
}

/** Make a bucket as `deploy/gcs` says, by the API that `gcloud` uses; the answer is the settings for it. */
async function makeBucket(gcs, origin) {
  const read = (name) => JSON.parse(readFileSync(join(web, '..', 'deploy', 'gcs', name), 'utf8'));
  const [uploads, reads] = read('cors.json');
  const cors = [{ ...uploads, origin: [origin] }, reads];
  const flavor = { 'Metadata-Flavor': 'Google' };
  const path = '/computeMetadata/v1/instance/service-accounts/default/token';
  const { access_token: token } = await (await fetch(gcs + path, { headers: flavor })).json();
  await fetch(`${gcs}/storage/v1/b`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${token}` },
    body: JSON.stringify({ name: BUCKET, cors, lifecycle: read('lifecycle.json') }),
  });
  const told = await fetch(`${gcs}/_control`, { method: 'POST', body: '{}' });
  const { account } = await told.json();
  return {
    GCS_BUCKET: BUCKET,
    GCS_SERVICE_ACCOUNT_JSON: JSON.stringify(account),
    STORAGE_EMULATOR_HOST: gcs,
  };
}

async function walk(addresses) {
  const command = join(web, 'node_modules', '@playwright', 'test', 'cli.js');
  const args = [command, 'test', '--config', join(web, 'e2e'), ...process.argv.slice(2)];
  const env = { ...process.env, ...addresses };
  const [code] = await once(
    spawn(process.execPath, args, { cwd: web, env, stdio: 'inherit' }),
    'exit',
  );
  return code ?? 1;
}
