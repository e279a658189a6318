import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type ChunkOptions, putChunks } from '../src/resumable.js';
import { createTransport } from '../src/transport.js';
import { createUploads } from '../src/uploads.js';
import { createTestEvents, stubService } from './doubles.js';
import { createSession } from './session.js';

const CHUNK = 512;
const SIZE = 4 * CHUNK + 100;

let online = true;
beforeEach(() => {
  online = true;
  vi.spyOn(navigator, 'onLine', 'get').mockImplementation(() => online);
});
afterEach(() => vi.useRealTimers());

function contentOf(size: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: size }, (_, place) => (place * 31 + (place >> 8)) & 255);
}

function setUp(options: Partial<ChunkOptions> = {}) {
  const session = createSession(SIZE);
  vi.stubGlobal('XMLHttpRequest', session.Request);
  const fetch = vi.fn(async () => new Response(null, { status: 204 }));
  vi.stubGlobal('fetch', fetch);
  const content = contentOf(SIZE);
  const controller = new AbortController();
  const progress: number[] = [];
  const send = () =>
    putChunks({
      url: 'https://bucket/x?upload_id=1',
      body: new Blob([content]),
      headers: {},
      chunkSize: CHUNK,
      signal: controller.signal,
      random: () => 0,
      onProgress: (loaded) => progress.push(loaded),
      ...options,
    });
  return { session, content, controller, progress, fetch, send };
}

function range(from: number, to: number) {
  return `bytes ${from}-${to - 1}/${SIZE}`;
}

test('a file goes in chunks, each where storage says the last one ended', async () => {
  const { session, content, progress, send } = setUp();
  await send();
  expect(session.holds(content)).toBe(true);
  expect(session.log).toEqual([
    `bytes */${SIZE}`,
    range(0, CHUNK),
    range(CHUNK, 2 * CHUNK),
    range(2 * CHUNK, 3 * CHUNK),
    range(3 * CHUNK, 4 * CHUNK),
    range(4 * CHUNK, SIZE),
  ]);
  expect(progress.at(-1)).toBe(SIZE);
});

test('after a cut storage is asked, and the file goes on from the byte it names', async () => {
  const { session, content, send } = setUp();
  session.next(undefined, undefined, { cutAfter: 300 });
  await send();
  const kept = CHUNK + 256;
  expect(session.log.slice(2, 5)).toEqual([
    range(CHUNK, 2 * CHUNK),
    `bytes */${SIZE}`,
    range(kept, kept + CHUNK),
  ]);
  expect(session.holds(content)).toBe(true);
});

test('progress never goes back, though storage kept less than was sent', async () => {
  const { session, progress, send } = setUp();
  session.next(undefined, { cutAfter: 500 }, undefined, { cutAfter: 10 });
  await send();
  expect(progress).toEqual([...progress].sort((one, other) => one - other));
});

test('a chunk whose answer was lost is not sent twice', async () => {
  const { session, send } = setUp();
  session.next(undefined, 'lost answer');
  await send();
  expect(session.log.filter((asked) => asked === range(0, CHUNK))).toHaveLength(1);
});

test('the last answer may be lost too: the question is answered by the finished object', async () => {
  const { session, send } = setUp();
  session.next(undefined, undefined, undefined, undefined, undefined, 'lost answer');
  await send();
  expect(session.log.at(-1)).toBe(`bytes */${SIZE}`);
});

test.each([408, 429, 500, 502, 503])('an answer %i is waited out', async (status) => {
  const { session, content, send } = setUp();
  session.next({ status }, undefined, { status });
  await send();
  expect(session.holds(content)).toBe(true);
});

test('waits double, so that a bucket in trouble is left in peace', async () => {
  vi.useFakeTimers();
  const { session, send } = setUp({ random: () => 1 });
  session.next({ status: 503 }, { status: 503 }, { status: 503 });
  const sent = send();
  await vi.advanceTimersByTimeAsync(999);
  expect(session.log).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(session.log).toHaveLength(2);
  await vi.advanceTimersByTimeAsync(1_999);
  expect(session.log).toHaveLength(2);
  await vi.advanceTimersByTimeAsync(4_001);
  await sent;
});

test('tries that bring nothing end, and the next call goes on where storage is', async () => {
  const { session, content, send } = setUp({ patience: 2 });
  session.next(undefined, undefined, ...Array(4).fill({ status: 503 }));
  await expect(send()).rejects.toMatchObject({ status: 503, retryable: true });
  expect(session.log).toHaveLength(5);
  session.log.length = 0;
  session.next();
  await send();
  expect(session.log.slice(0, 3)).toEqual([
    `bytes */${SIZE}`,
    `bytes */${SIZE}`,
    range(CHUNK, 2 * CHUNK),
  ]);
  expect(session.holds(content)).toBe(true);
});

test('tries that bring something have all the patience again', async () => {
  const { session, content, send } = setUp({ patience: 1, chunkSize: CHUNK });
  const cut = { cutAfter: 256 };
  session.next(undefined, cut, undefined, cut, undefined, cut, undefined, cut);
  await send();
  expect(session.holds(content)).toBe(true);
});

test('a bucket that does not let the page read `Range` ends the upload in words', async () => {
  const { session, send } = setUp({ patience: 2 });
  session.hideRange();
  await expect(send()).rejects.toMatchObject({ code: 'stalled', retryable: true });
});

test.each([
  [400, false],
  [403, false],
  [404, false],
  [410, false],
  [412, false],
])('an answer %i is final', async (status, retryable) => {
  const { session, send } = setUp();
  session.next(undefined, { status });
  await expect(send()).rejects.toMatchObject({ status, retryable });
  expect(session.log).toHaveLength(2);
});

test('a cancelled upload deletes its session', async () => {
  const { session, controller, fetch, send } = setUp();
  session.next(undefined, 'silence');
  const sent = send();
  await vi.waitFor(() => expect(session.log).toHaveLength(2));
  controller.abort();
  await expect(sent).rejects.toMatchObject({ code: 'aborted', retryable: false });
  expect(fetch).toHaveBeenCalledWith('https://bucket/x?upload_id=1', { method: 'DELETE' });
});

test('an upload that is cancelled while it waits ends at once', async () => {
  vi.useFakeTimers();
  const { session, controller, fetch, send } = setUp({ random: () => 1 });
  session.next({ status: 503 });
  const sent = send();
  const ended = expect(sent).rejects.toMatchObject({ code: 'aborted' });
  await vi.advanceTimersByTimeAsync(500);
  controller.abort();
  await ended;
  expect(session.log).toHaveLength(1);
  expect(fetch).toHaveBeenCalledTimes(1);
});

test('a request in which nothing moves is broken off and asked after', async () => {
  vi.useFakeTimers();
  const { session, content, send } = setUp({ stall: 5_000 });
  session.next(undefined, 'silence');
  const sent = send();
  await vi.advanceTimersByTimeAsync(4_999);
  expect(session.log).toHaveLength(2);
  await vi.advanceTimersByTimeAsync(1_000);
  await sent;
  expect(session.log[2]).toBe(`bytes */${SIZE}`);
  expect(session.holds(content)).toBe(true);
});

test('without a network the file waits for it, however long, and spends no patience', async () => {
  vi.useFakeTimers();
  const waiting: boolean[] = [];
  const onWaiting = (away: boolean) => waiting.push(away);
  const { session, content, send } = setUp({ patience: 1, onWaiting });
  session.next(undefined, 'silence');
  const sent = send();
  await vi.advanceTimersByTimeAsync(0);
  online = false;
  session.next(...Array(5).fill({ cutAfter: 0 }));
  globalThis.dispatchEvent(new Event('offline'));
  await vi.advanceTimersByTimeAsync(120_000);
  expect(waiting[0]).toBe(true);
  expect(session.log).toHaveLength(6);
  online = true;
  globalThis.dispatchEvent(new Event('online'));
  await vi.advanceTimersByTimeAsync(1_000);
  await sent;
  expect(waiting.at(-1)).toBe(false);
  expect(session.holds(content)).toBe(true);
});

test('the hook sends a file with `resumable` in chunks, and completes it', async () => {
  const session = createSession(SIZE);
  vi.stubGlobal('XMLHttpRequest', session.Request);
  const ticket = {
    uploadURL: 'https://bucket/x?upload_id=1',
    objectPath: 'media/u/x/film.mp4',
    jobId: 'job-1',
    headers: {},
    resumable: { chunkSize: CHUNK },
  };
  const done = { url: 'https://media/m/1', path: 'media/u/x/film.mp4' };
  const service = stubService({
    'POST /media/upload/init': ticket,
    'POST /media/upload/complete': done,
  });
  const transport = createTransport('', { Authorization: 'Bearer a' });
  const client = { transport, events: createTestEvents(), setHeaders: () => undefined };
  const uploads = createUploads(client);
  session.next(undefined, undefined, { status: 404 });
  const file = new File([contentOf(SIZE)], 'film.mp4', { type: 'video/mp4' });
  await expect(uploads.upload(file)).rejects.toMatchObject({ step: 'put', retryable: true });
  expect(uploads.get().uploads[0]?.progress).toBe(23);
  await expect(uploads.upload(file)).resolves.toEqual(done);
  expect(session.holds(contentOf(SIZE))).toBe(true);
  expect(service.routesAsked()).toEqual([
    'POST /media/upload/init',
    'POST /media/upload/init',
    'POST /media/upload/complete',
  ]);
});
