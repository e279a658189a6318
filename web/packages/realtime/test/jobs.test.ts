import { expect, test, vi } from 'vitest';
import type { Job, MediaEvent } from '../src/client.js';
import { applyEvent, createJob, createJobs, mergeJob } from '../src/jobs.js';
import { createTransport } from '../src/transport.js';
import { createTestEvents, refusal, stubService } from './doubles.js';

const jobId = 'j1';
const attempt = (number: number) => ({
  number,
  provider: 'procedural',
  model: 'waves',
  startedAt: '2026-01-01T00:00:00Z',
});
const record = (part: Partial<Job> = {}): Job => ({
  jobId,
  kind: 'generate.image',
  state: 'running',
  progress: 40,
  message: 'Step 4',
  attempts: [attempt(1)],
  createdAt: '2026-01-01T00:00:00Z',
  request: { prompt: 'sea' },
  ...part,
});
const event = (type: string, data: object = {}) =>
  ({ type, data: { jobId, ...data } }) as MediaEvent;

const settled = () => new Promise((resolve) => setTimeout(resolve));

function setUp(routes: Parameters<typeof stubService>[0] = {}) {
  const service = stubService({ 'GET /jobs': { jobs: [] }, ...routes });
  const events = createTestEvents();
  const jobs = createJobs({ transport: createTransport(''), events, setHeaders: () => undefined });
  return { service, events, jobs, job: (id = jobId) => jobs.get().jobs.get(id) };
}

test('unknown progress stays unknown, with the message the service gave', () => {
  const job = applyEvent(
    createJob(jobId),
    event('generation_progress', { progress: null, message: 'Position 3' }),
  );
  expect(job).toMatchObject({ state: 'running', progress: null, message: 'Position 3' });
});

test('an end is final: nothing heard later takes it back', () => {
  const result = { items: [] };
  const ended = applyEvent(createJob(jobId), event('generation_complete', { result }));
  expect(ended).toMatchObject({ state: 'succeeded', progress: 100, result });
  expect(applyEvent(ended, event('generation_started'))).toBe(ended);
  expect(applyEvent(ended, event('generation_failed', { error: 'no' }))).toBe(ended);
});

test('each output keeps its own latest preview', () => {
  const heard = [
    event('generation_preview', { index: 1, url: 'b1' }),
    event('generation_preview', { index: 0, url: 'a1' }),
    event('generation_preview', { index: 1, url: 'b2' }),
  ];
  expect(heard.reduce(applyEvent, createJob(jobId)).previews).toEqual(['a1', 'b2']);
});

test('an answer older than the events does not move the job back', () => {
  const known = { ...record({ progress: 70, message: 'Step 7' }), previews: ['a'] };
  expect(mergeJob(known, record())).toMatchObject({
    progress: 70,
    message: 'Step 7',
    previews: ['a'],
  });
  const ended = {
    ...record({ state: 'succeeded', progress: 100, result: { items: [] } }),
    previews: [],
  };
  expect(mergeJob(ended, record())).toMatchObject({ state: 'succeeded', progress: 100 });
});

test('a new attempt may begin below the old one', () => {
  const attempts = [1, 2].map(attempt);
  const known = { ...record({ progress: 70 }), previews: [] };
  expect(mergeJob(known, record({ progress: 10, attempts })).progress).toBe(10);
});

test('a job of another tab is asked for once and then known in full', async () => {
  const { events, jobs, job, service } = setUp({ 'GET /jobs/j1': record() });
  const leave = jobs.follow();
  await vi.waitFor(() => expect(jobs.get().status).toBe('ready'));
  events.say('generation_started', { jobId });
  events.say('generation_progress', { jobId, progress: 50, message: 'Step 5' });
  await vi.waitFor(() => expect(job()?.request).toEqual({ prompt: 'sea' }));
  expect(job()).toMatchObject({ state: 'running', progress: 50, kind: 'generate.image' });
  expect(service.routesAsked().filter((route) => route === 'GET /jobs/j1')).toHaveLength(1);
  leave();
});

test('after reset the jobs are read again', async () => {
  const { events, jobs, job, service } = setUp();
  jobs.follow();
  await vi.waitFor(() => expect(jobs.get().status).toBe('ready'));
  service.routes['GET /jobs'] = { jobs: [record({ state: 'failed' })] };
  events.say('reset');
  await vi.waitFor(() => expect(job()?.state).toBe('failed'));
});

test('a retry shows its new job with what the old one was asked', async () => {
  const { jobs, job } = setUp({
    'GET /jobs/j1': record({ state: 'failed' }),
    'POST /jobs/j1/retry': { jobId: 'j2' },
  });
  jobs.watch(jobId);
  await vi.waitFor(() => expect(job()).toBeDefined());
  await jobs.retry(jobId);
  expect(job('j2')).toMatchObject({ state: 'queued', retryOf: jobId, request: { prompt: 'sea' } });
});

test('the last one to leave stops listening', () => {
  const { events, jobs } = setUp();
  const [first, second] = [jobs.follow(), jobs.watch(jobId)];
  first();
  first();
  expect(events.listeners.size).toBe(1);
  second();
  expect(events.listeners.size).toBe(0);
});

test('a job that the service lost in a restart is taken away', async () => {
  const { events, jobs, job, service } = setUp({ 'GET /jobs': { jobs: [record()] } });
  jobs.follow();
  await vi.waitFor(() => expect(job()?.state).toBe('running'));
  service.routes['GET /jobs'] = { jobs: [] };
  events.say('reset');
  await vi.waitFor(() => expect(job()).toBeUndefined());
});

test('a job that cannot be asked after just now stays', async () => {
  const { events, jobs, job, service } = setUp({ 'GET /jobs': { jobs: [record()] } });
  jobs.follow();
  await vi.waitFor(() => expect(job()).toBeDefined());
  service.routes['GET /jobs/j1'] = () => refusal(503, 'busy', 'Later.');
  events.say('reset');
  await vi.waitFor(() => expect(service.routesAsked()).toContain('GET /jobs/j1'));
  await settled();
  expect(job()?.state).toBe('running');
});

test('a job accepted a moment ago is asked for once more before it is taken away', async () => {
  vi.useFakeTimers();
  const { events, jobs, job, service } = setUp();
  jobs.follow();
  jobs.expect(jobId);
  events.say('ready');
  await vi.advanceTimersByTimeAsync(100);
  expect(service.routesAsked()).toContain('GET /jobs/j1');
  expect(job()?.state).toBe('queued');
  await vi.advanceTimersByTimeAsync(10_000);
  expect(job()).toBeUndefined();
  vi.useRealTimers();
});

test('an accepted job of which something was heard gets no second chance', async () => {
  const { events, jobs, job } = setUp();
  jobs.follow();
  jobs.expect(jobId);
  events.say('generation_started', { jobId });
  expect(job()?.state).toBe('running');
  events.say('reset');
  await vi.waitFor(() => expect(job()).toBeUndefined());
});

test('a retry that may cost twice says so, and goes on when that is accepted', async () => {
  const { jobs, job, service } = setUp({
    'POST /jobs/j1/retry': () => refusal(409, 'may_be_charged', 'It may be charged twice.'),
    'POST /jobs/j1/retry?acceptCharge=true': { jobId: 'j2' },
  });
  await expect(jobs.retry(jobId)).rejects.toMatchObject({ code: 'may_be_charged', status: 409 });
  await expect(jobs.retry(jobId, { acceptCharge: true })).resolves.toEqual({ jobId: 'j2' });
  expect(job('j2')).toMatchObject({ state: 'queued', retryOf: 'j1' });
  expect(service.calls).toHaveLength(2);
});

test('a retry whose answer was lost is asked for again under its key, so it makes one job', async () => {
  const { jobs, service } = setUp({
    'POST /jobs/j1/retry': () => Promise.reject(new TypeError('cut')),
  });
  await expect(jobs.retry(jobId)).rejects.toMatchObject({ code: 'network' });
  service.routes['POST /jobs/j1/retry'] = { jobId: 'j2' };
  await jobs.retry(jobId);
  const keys = service.calls.map(({ headers }) => headers['Idempotency-Key']);
  expect(keys[0]).toBeTruthy();
  expect(keys[1]).toBe(keys[0]);
});

test("storage's count of an upload does not take back what the browser's had reached", () => {
  const job = applyEvent(createJob(jobId), event('upload_progress', { progress: 60 }));
  expect(applyEvent(job, event('upload_progress', { progress: 40 })).progress).toBe(60);
  expect(applyEvent(job, event('upload_progress', { progress: 80 })).progress).toBe(80);
});
