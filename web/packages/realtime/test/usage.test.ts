import { expect, test, vi } from 'vitest';
import { createTransport } from '../src/transport.js';
import { getUsage } from '../src/usage.js';
import { bearerOf, createTestEvents, refusal, stubService } from './doubles.js';

const ROUTE = 'GET /media/usage';
const used = (bytes: number) => ({
  bytes,
  objects: 1,
  quotaBytes: 100,
  quotaObjects: null,
  limits: [],
});

function setUp(routes: Parameters<typeof stubService>[0]) {
  const service = stubService(routes);
  const events = createTestEvents();
  const transport = createTransport('', bearerOf('ann'));
  const usage = getUsage({ transport, events, setHeaders: () => undefined });
  return { service, events, transport, usage, bytes: () => usage.get().usage?.bytes };
}

test('usage is read again after what changes it, and not after what does not', async () => {
  const { service, events, usage, bytes } = setUp({ [ROUTE]: used(1) });
  const leave = usage.follow();
  await vi.waitFor(() => expect(bytes()).toBe(1));
  service.routes[ROUTE] = used(2);
  events.say('upload_progress', { jobId: 'j', progress: 5 });
  expect(service.calls).toHaveLength(1);
  events.say('upload_complete', { jobId: 'j' });
  await vi.waitFor(() => expect(bytes()).toBe(2));
  service.routes[ROUTE] = used(3);
  events.say('job_queued', { jobId: 'k' });
  await vi.waitFor(() => expect(bytes()).toBe(3));
  leave();
  expect(events.listeners.size).toBe(0);
});

test('many changes at once cost one more request than the one on its way', async () => {
  const { service, events, usage, bytes } = setUp({ [ROUTE]: used(1) });
  usage.follow();
  for (let count = 0; count < 50; count += 1) events.say('media_deleted', { paths: [] });
  service.routes[ROUTE] = used(7);
  await vi.waitFor(() => expect(bytes()).toBe(7));
  expect(service.calls).toHaveLength(2);
});

test('a failure keeps the figure that was known, and the next read mends it', async () => {
  const { service, usage, bytes } = setUp({ [ROUTE]: used(1) });
  await usage.refetch();
  service.routes[ROUTE] = () => refusal(503, 'database_unavailable', 'Later.');
  await usage.refetch();
  expect(usage.get()).toMatchObject({ usage: used(1), error: { message: 'Later.' } });
  service.routes[ROUTE] = used(3);
  await usage.refetch();
  expect(bytes()).toBe(3);
  expect(usage.get().error).toBeNull();
});

test('the next user does not see what the last one kept', async () => {
  const { transport, usage } = setUp({ [ROUTE]: used(1) });
  await usage.refetch();
  transport.setHeaders(bearerOf('bob'));
  expect(usage.get()).toEqual({ usage: null, error: null });
});
