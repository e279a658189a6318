import { expect, test } from 'vitest';
import { createClient } from '../src/client.js';
import { getJobs } from '../src/jobs.js';
import { getGenerate, getImport, getProcess } from '../src/making.js';
import { refusal, stubService } from './doubles.js';

const ROUTE = 'POST /generate/image';

function setUp(answer: Parameters<typeof stubService>[0][string]) {
  const service = stubService({ [ROUTE]: answer });
  const client = createClient({ apiPrefix: '', serviceName: 'test' });
  const keys = () => service.calls.map(({ headers }) => headers['Idempotency-Key']);
  return { service, client, generate: getGenerate(client), keys };
}

test('an accepted request is a queued job at once', async () => {
  const { client, generate } = setUp({ jobId: 'j1' });
  await expect(generate('image', { prompt: 'sea', n: 2 })).resolves.toEqual({ jobId: 'j1' });
  expect(getJobs(client).get().jobs.get('j1')).toMatchObject({
    state: 'queued',
    progress: null,
    request: { prompt: 'sea', n: 2 },
  });
});

test('a request whose answer was lost is sent again under its old key', async () => {
  const { service, generate, keys } = setUp(() => refusal(503, 'busy', 'Later.'));
  await expect(generate('image', { prompt: 'sea' })).rejects.toThrow('Later.');
  service.routes[ROUTE] = { jobId: 'j1' };
  await generate('image', { prompt: 'sea' });
  await generate('image', { prompt: 'sea' });
  expect(keys()[0]).toBe(keys()[1]);
  expect(keys()[2]).not.toBe(keys()[1]);
});

test('a refused request gives up its key', async () => {
  const { generate, keys } = setUp(() => refusal(422, 'invalid_request', 'Too long.'));
  await expect(generate('image', { prompt: 'sea' })).rejects.toThrow();
  await expect(generate('image', { prompt: 'sea' })).rejects.toThrow();
  expect(new Set(keys()).size).toBe(2);
});

test('an operation and an import are queued jobs at once, each under a key', async () => {
  const service = stubService({
    'POST /media/process': { jobId: 'p' },
    'POST /media/import': { jobId: 'i' },
  });
  const client = createClient({ apiPrefix: '', serviceName: 'test' });
  await getProcess(client)('media/u/a.png', { type: 'resize', width: 640 });
  await getImport(client)('https://example.com/a.jpg');
  expect(service.calls.map(({ body }) => body)).toEqual([
    { path: 'media/u/a.png', operation: { type: 'resize', width: 640 } },
    { url: 'https://example.com/a.jpg' },
  ]);
  expect(service.calls.every(({ headers }) => headers['Idempotency-Key'])).toBe(true);
  const { jobs } = getJobs(client).get();
  expect([jobs.get('p')?.kind, jobs.get('i')?.kind]).toEqual(['process', 'import']);
});
