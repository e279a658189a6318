// @vitest-environment node
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createClient, getGenerate, getJobs, type MediaEvent } from '../src/client.js';
import { startService, type TestService } from './service.js';

let service: TestService;
beforeEach(async () => {
  service = await startService({ pace: 2 });
});
afterEach(() => service.close());

function connect() {
  const headers = { Authorization: 'Bearer secret' };
  const client = createClient(
    { apiPrefix: service.url, serviceName: 'test', headers },
    { random: () => 0 },
  );
  const heard: MediaEvent[] = [];
  const leave = client.events.subscribe((event) => heard.push(event));
  const states = () => heard.filter(({ id }) => id !== undefined).map(({ type }) => type);
  return { client, heard, states, leave };
}

const open = (client: ReturnType<typeof connect>['client']) =>
  vi.waitFor(() => expect(client.events.status.get()).toBe('open'));

test('over real HTTP a generation is heard from its start to its end', async () => {
  const { client, states, heard, leave } = connect();
  await open(client);
  const { jobId } = await getGenerate(client)('image', { prompt: 'sea' });
  await vi.waitFor(() => expect(states()).toContain('generation_complete'));
  expect(states()).toEqual(['ready', 'job_queued', 'generation_started', 'generation_complete']);
  const told = heard.flatMap((event) =>
    event.type === 'generation_progress' ? [event.data.progress] : [],
  );
  expect(told).toEqual([10, 20, 30, 40, 50, 60, 70, 80, 90, 100]);
  expect(service.jobs.get(jobId)?.state).toBe('succeeded');
  leave();
});

test('a cut connection misses no change of state and hears none twice', async () => {
  const { client, states, leave } = connect();
  await open(client);
  service.publish('generation_started', { jobId: 'a' });
  await vi.waitFor(() => expect(states()).toContain('generation_started'));
  service.cut();
  service.publish('job_queued', { jobId: 'b' });
  service.publish('generation_started', { jobId: 'b' });
  await vi.waitFor(() => expect(states()).toHaveLength(4));
  expect(states()).toEqual(['ready', 'generation_started', 'job_queued', 'generation_started']);
  leave();
});

test('a service that lost its history says reset, and the jobs are read again', async () => {
  const { client, states, leave } = connect();
  const stop = getJobs(client).follow();
  await open(client);
  await vi.waitFor(() => expect(states()).toEqual(['ready']));
  const before = service.requests.filter((route) => route === 'GET /jobs').length;
  service.forget();
  service.cut();
  await vi.waitFor(() => expect(states()).toEqual(['ready', 'reset']));
  await vi.waitFor(() => {
    expect(service.requests.filter((route) => route === 'GET /jobs').length).toBeGreaterThan(
      before,
    );
  });
  stop();
  leave();
});
