import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { MediaEvent } from '../src/client.js';
import { createEventStream, type StreamOptions } from '../src/stream.js';
import { createTransport, type HeaderSource } from '../src/transport.js';
import { bearerOf, stubEventSource } from './doubles.js';

let leaveAll: (() => void)[] = [];
beforeEach(() => vi.useFakeTimers());
afterEach(async () => {
  for (const leave of leaveAll) leave();
  leaveAll = [];
  await vi.advanceTimersByTimeAsync(5_000);
  vi.useRealTimers();
});

type Refusal = [status: number, headers?: Record<string, string>];

function follow(
  options: StreamOptions = {},
  headers: HeaderSource = { Authorization: 'Bearer a' },
  refusals: Refusal[] = [],
) {
  const source = stubEventSource();
  for (const refusal of refusals) source.refuse(...refusal);
  const transport = createTransport('', headers);
  const stream = createEventStream(transport, { random: () => 1, ...options });
  const heard: MediaEvent[] = [];
  const leave = stream.subscribe((event) => heard.push(event));
  leaveAll.push(leave);
  return { source, transport, stream, heard, leave, names: () => heard.map(({ type }) => type) };
}

const tick = (ms = 0) => vi.advanceTimersByTimeAsync(ms);

test('a frame cut anywhere by the network is heard once and whole', async () => {
  const { source, heard } = follow();
  await tick();
  await source.last().send('id: e:1\nevent: generation_st');
  await source.last().send('arted\ndata: {"jobId":');
  expect(heard).toEqual([]);
  await source.last().send('"j1"}\n\n: ping\n\n');
  expect(heard).toEqual([{ type: 'generation_started', data: { jobId: 'j1' }, id: 'e:1' }]);
});

test('a broken connection comes back with the last position', async () => {
  const { source } = follow();
  await tick();
  expect(source.last().headers['Last-Event-ID']).toBeUndefined();
  await source.last().send('id: e:7\nevent: job_queued\ndata: {"jobId":"j"}\n\n');
  source.last().end();
  await tick(1_000);
  expect(source.connections).toHaveLength(2);
  expect(source.last().headers['Last-Event-ID']).toBe('e:7');
});

test('progress has no id and leaves the position at the last change of state', async () => {
  const { source } = follow();
  await tick();
  await source.last().send('id: e:7\nevent: job_queued\ndata: {"jobId":"j"}\n\n');
  await source.last().send('event: generation_progress\ndata: {"jobId":"j","progress":null}\n\n');
  source.last().end();
  await tick(1_000);
  expect(source.last().headers['Last-Event-ID']).toBe('e:7');
});

test('reset reaches the listeners', async () => {
  const { source, names } = follow();
  await tick();
  await source.last().send('id: f:0\nevent: reset\ndata: {}\n\n');
  expect(names()).toEqual(['reset']);
});

test('a frame that is not JSON is passed over', async () => {
  const { source, names } = follow();
  await tick();
  await source.last().send('event: job_queued\ndata: {oops\n\nevent: ready\ndata: {}\n\n');
  expect(names()).toEqual(['ready']);
});

test('a listener that throws does not silence the others', async () => {
  const report = vi.fn();
  vi.stubGlobal('reportError', report);
  const { source, stream } = follow();
  const leave = stream.subscribe(() => {
    throw new Error('mine');
  });
  const after = vi.fn();
  leaveAll.push(leave, stream.subscribe(after));
  await tick();
  await source.last().send('event: ready\ndata: {}\n\n');
  expect(after).toHaveBeenCalledOnce();
  expect(report).toHaveBeenCalledOnce();
});

test('many listeners share one connection, which closes after the last has left', async () => {
  const { source, stream, leave } = follow();
  const second = stream.subscribe(() => undefined);
  await tick();
  expect(source.connections).toHaveLength(1);
  leave();
  await tick(5_000);
  expect(stream.status.get()).toBe('open');
  second();
  await tick(5_000);
  expect(stream.status.get()).toBe('idle');
});

test('leaving and coming back at once keeps the connection', async () => {
  const { source, stream, leave } = follow();
  await tick();
  leave();
  leaveAll.push(stream.subscribe(() => undefined));
  await tick(5_000);
  expect(source.connections).toHaveLength(1);
});

test('each failure doubles the longest wait, up to the cap', async () => {
  const { source } = follow({ maxDelay: 5_000 }, {}, Array(5).fill([500]));
  await tick();
  const waits: number[] = [];
  for (let seen = 1; seen < 6; seen += 1) {
    let waited = 0;
    while (source.fetch.mock.calls.length === seen) {
      await tick(100);
      waited += 100;
    }
    waits.push(waited);
  }
  expect(waits).toEqual([1_000, 2_000, 4_000, 5_000, 5_000]);
});

test('the wait is anywhere below its longest, so a crowd does not return together', async () => {
  const { source } = follow({ random: () => 0.25 }, {}, [[500]]);
  await tick(240);
  expect(source.fetch).toHaveBeenCalledTimes(1);
  await tick(20);
  expect(source.fetch).toHaveBeenCalledTimes(2);
});

test('the service sets the base of the wait with retry:', async () => {
  const { source } = follow();
  await tick();
  await source.last().send('retry: 3000\n\n');
  source.last().end();
  await tick(2_900);
  expect(source.connections).toHaveLength(1);
  await tick(200);
  expect(source.connections).toHaveLength(2);
});

test('Retry-After is waited out', async () => {
  const { source } = follow({ random: () => 0 }, {}, [[503, { 'retry-after': '7' }]]);
  await tick(6_900);
  expect(source.fetch).toHaveBeenCalledTimes(1);
  await tick(200);
  expect(source.fetch).toHaveBeenCalledTimes(2);
});

test('a connection without even a ping is given up', async () => {
  const { source } = follow({ silence: 20_000 });
  await tick(15_000);
  await source.last().send(': ping\n\n');
  await tick(19_000);
  expect(source.connections).toHaveLength(1);
  await tick(2_100);
  expect(source.connections).toHaveLength(2);
});

test('a token function is asked again after a 401', async () => {
  const headers = vi.fn(async ({ refresh }: { refresh: boolean }) => ({
    Authorization: refresh ? 'Bearer new' : 'Bearer old',
  }));
  const { source, stream } = follow({}, headers, [[401]]);
  await tick();
  expect(source.last().headers.Authorization).toBe('Bearer new');
  expect(stream.status.get()).toBe('open');
});

test('a fixed token that is refused waits for another instead of knocking on', async () => {
  const { source, stream, transport, names } = follow({}, {}, [[401]]);
  await tick(120_000);
  expect(source.fetch).toHaveBeenCalledTimes(1);
  expect(stream.status.get()).toBe('unauthorized');
  transport.setHeaders({ Authorization: 'Bearer b' });
  stream.reconnect();
  await tick();
  expect(source.last().headers.Authorization).toBe('Bearer b');
  expect(names()).toEqual(['reset']);
});

test('a network that goes drops the silent stream, and the position survives', async () => {
  const { source, stream } = follow();
  await tick();
  await source.last().send('id: e:3\nevent: ready\ndata: {}\n\n');
  vi.spyOn(navigator, 'onLine', 'get').mockReturnValue(false);
  window.dispatchEvent(new Event('offline'));
  await tick();
  expect(stream.status.get()).toBe('offline');
  window.dispatchEvent(new Event('online'));
  await tick();
  expect(source.last().headers['Last-Event-ID']).toBe('e:3');
  expect(stream.status.get()).toBe('open');
});

test('coming online ends the wait', async () => {
  const { source } = follow({}, {}, [[500]]);
  await tick();
  window.dispatchEvent(new Event('online'));
  await tick();
  expect(source.fetch).toHaveBeenCalledTimes(2);
});

test('another user begins without the position of the last one', async () => {
  const { source, transport, names } = follow({}, bearerOf('alice'));
  await tick();
  await source.last().send('id: e:7\nevent: job_queued\ndata: {"jobId":"j"}\n\n');
  transport.setHeaders(bearerOf('bob'));
  await tick();
  expect(source.connections).toHaveLength(2);
  expect(source.last().headers).toMatchObject(bearerOf('bob'));
  expect(source.last().headers['Last-Event-ID']).toBeUndefined();
  expect(names()).toEqual(['job_queued', 'reset']);
});

test('a stream that nobody hears any more does not come back as another', async () => {
  const { source, transport, stream, leave } = follow({}, bearerOf('alice'));
  await tick();
  leave();
  transport.setHeaders(undefined);
  await tick(5_000);
  expect(source.connections).toHaveLength(1);
  expect(stream.status.get()).toBe('idle');
});
