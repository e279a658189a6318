import { beforeEach, expect, test, vi } from 'vitest';
import { ServiceError } from '../src/errors.js';
import type { PutOptions } from '../src/put.js';
import { createTransport } from '../src/transport.js';
import { createUploads } from '../src/uploads.js';
import { bearerOf, createTestEvents, fileOf, refusal, stubService } from './doubles.js';

const INIT = 'POST /media/upload/init';
const COMPLETE = 'POST /media/upload/complete';
const done = { url: 'https://cdn/x.png', path: 'media/u/x/sea.png' };

interface Sending extends PutOptions {
  finish(): void;
  fail(error: ServiceError): void;
}

function setUp(routes: Parameters<typeof stubService>[0] = {}) {
  let made = 0;
  const service = stubService({
    [INIT]: () => {
      made += 1;
      const headers = { 'Content-Type': 'image/png' };
      const ticket = {
        uploadURL: '/storage/x?sig=1',
        objectPath: `media/u/x${made}/sea.png`,
        headers,
      };
      return Response.json({ ...ticket, jobId: `job-${made}` });
    },
    [COMPLETE]: { ...done, jobId: 'ingest' },
    ...routes,
  });
  const puts: Sending[] = [];
  const put = vi.fn((options: PutOptions) => {
    return new Promise<void>((finish, fail) => {
      puts.push({ ...options, finish, fail });
      options.signal.addEventListener('abort', () =>
        fail(new ServiceError('Cancelled.', { code: 'aborted', retryable: false })),
      );
    });
  });
  const events = createTestEvents();
  const transport = createTransport('', { Authorization: 'Bearer a' });
  const client = { transport, events, setHeaders: () => undefined };
  const uploads = createUploads(client, { put });
  const entry = (index = 0) => uploads.get().uploads[index];
  const begun = (count: number) => vi.waitFor(() => expect(puts.length).toBe(count));
  const send = (index = 0) => puts[index] as Sending;
  return { service, put, puts, events, transport, uploads, entry, begun, send };
}

let file: File;
beforeEach(() => {
  file = fileOf();
});

test('a file goes init, PUT, complete, and the promise gives what complete answered', async () => {
  const { service, uploads, begun, send, entry } = setUp();
  const result = uploads.upload(file);
  await begun(1);
  expect(send().url).toBe('/storage/x?sig=1');
  expect(send().headers).toEqual({ 'Content-Type': 'image/png' });
  send().finish();
  await expect(result).resolves.toEqual(done);
  expect(service.calls.map(({ route, body }) => [route, body])).toEqual([
    [INIT, { filename: 'sea.png', contentType: 'image/png', size: 1000 }],
    [COMPLETE, { objectPath: 'media/u/x1/sea.png' }],
  ]);
  expect(entry()?.status).toBe('processing');
});

test('progress is what was sent, and stays below 100 until complete has answered', async () => {
  let answer = (_: Response) => undefined as unknown;
  const held = new Promise<Response>((resolve) => {
    answer = resolve;
  });
  const { uploads, begun, send, entry } = setUp({ [COMPLETE]: () => held });
  const seen: number[] = [];
  const result = uploads.upload(file, { onProgress: (progress) => seen.push(progress) });
  await begun(1);
  send().onProgress(255);
  expect(uploads.get().progress).toBe(25);
  send().onProgress(1000);
  expect(entry()?.progress).toBe(99);
  send().finish();
  await vi.waitFor(() => expect(entry()?.status).toBe('completing'));
  expect(uploads.get().progress).toBe(99);
  answer(Response.json(done));
  await result;
  expect(uploads.get().progress).toBe(100);
  expect(seen).toEqual([25, 99, 100]);
});

test('a refused init says why, and a retry begins with init', async () => {
  const { service, uploads, entry, puts } = setUp({
    [INIT]: () => refusal(503, 'busy', 'Come back later.'),
  });
  await expect(uploads.upload(file)).rejects.toMatchObject({
    name: 'UploadError',
    step: 'init',
    code: 'busy',
    status: 503,
    retryable: true,
    message: 'Come back later.',
  });
  expect(uploads.get().error?.message).toBe('Come back later.');
  await expect(uploads.retry(entry()?.id ?? '')).rejects.toMatchObject({ step: 'init' });
  expect(service.routesAsked()).toEqual([INIT, INIT]);
  expect(puts).toHaveLength(0);
});

test('a broken PUT is sent again without a new init', async () => {
  const { service, uploads, begun, send, entry } = setUp();
  const first = uploads.upload(file);
  await begun(1);
  send().fail(new ServiceError('The connection to storage broke.', { code: 'network' }));
  await expect(first).rejects.toMatchObject({ step: 'put', code: 'network', retryable: true });
  const second = uploads.retry(entry()?.id ?? '');
  await begun(2);
  expect(entry()?.progress).toBe(0);
  send(1).finish();
  await expect(second).resolves.toEqual(done);
  expect(service.routesAsked()).toEqual([INIT, COMPLETE]);
});

test('a failed complete is asked again without sending a byte twice', async () => {
  const { service, uploads, begun, send, put } = setUp({
    [COMPLETE]: () => refusal(500, 'internal', 'Broke.'),
  });
  const first = uploads.upload(file);
  await begun(1);
  send().finish();
  await expect(first).rejects.toMatchObject({ step: 'complete', status: 500, retryable: true });
  service.routes[COMPLETE] = done;
  await expect(uploads.upload(file)).resolves.toEqual(done);
  expect(put).toHaveBeenCalledTimes(1);
  expect(service.routesAsked()).toEqual([INIT, COMPLETE, COMPLETE]);
  expect(uploads.get().uploads).toHaveLength(1);
});

test('a complete that does not find the object lets the retry begin anew', async () => {
  const { service, uploads, begun, send, entry } = setUp({
    [COMPLETE]: () => refusal(409, 'upload_incomplete', 'Not there.'),
  });
  const first = uploads.upload(file);
  await begun(1);
  send().finish();
  await expect(first).rejects.toMatchObject({ step: 'complete' });
  service.routes[COMPLETE] = done;
  const second = uploads.retry(entry()?.id ?? '');
  await begun(2);
  send(1).finish();
  await expect(second).resolves.toEqual(done);
  expect(service.routesAsked()).toEqual([INIT, COMPLETE, INIT, COMPLETE]);
});

test.each([
  [404, 'upload_not_found'],
  [409, 'upload_closed'],
  [410, 'object_gone'],
])(
  'a complete that answers %i %s says so, and is retried from the beginning',
  async (status, code) => {
    const { service, uploads, begun, send } = setUp({
      [COMPLETE]: () => refusal(status, code, 'The sentence of the service.'),
    });
    const first = uploads.upload(file);
    await begun(1);
    send().finish();
    await expect(first).rejects.toMatchObject({
      step: 'complete',
      code,
      status,
      message: 'The sentence of the service.',
      retryable: true,
    });
    service.routes[COMPLETE] = done;
    const second = uploads.upload(file);
    await begun(2);
    send(1).finish();
    await expect(second).resolves.toEqual(done);
    expect(service.routesAsked()).toEqual([INIT, COMPLETE, INIT, COMPLETE]);
    expect(uploads.get().uploads).toHaveLength(1);
  },
);

test.each([
  [409, 'upload_failed'],
  [415, 'type_not_allowed'],
  [422, 'empty_file'],
])(
  'a file judged by %i %s is not offered again, and begins anew if asked to',
  async (status, code) => {
    const { service, uploads, begun, send, entry } = setUp({
      [COMPLETE]: () => refusal(status, code, 'This is no picture.'),
    });
    const first = uploads.upload(file);
    await begun(1);
    send().finish();
    await expect(first).rejects.toMatchObject({
      code,
      message: 'This is no picture.',
      retryable: false,
    });
    const second = uploads.retry(entry()?.id ?? '').catch(() => undefined);
    await begun(2);
    send(1).finish();
    await second;
    expect(service.routesAsked()).toEqual([INIT, COMPLETE, INIT, COMPLETE]);
  },
);

test('an address that is closed for good is not sent to twice', async () => {
  const { service, uploads, begun, send, entry } = setUp();
  const first = uploads.upload(file);
  await begun(1);
  send().fail(new ServiceError('This upload is over.', { code: 'upload_closed', status: 409 }));
  await expect(first).rejects.toMatchObject({ step: 'put', retryable: true });
  const second = uploads.retry(entry()?.id ?? '');
  await begun(2);
  send(1).finish();
  await expect(second).resolves.toEqual(done);
  expect(service.routesAsked()).toEqual([INIT, INIT, COMPLETE]);
});

test('an upload that ends while its bytes are on their way says why', async () => {
  const { uploads, begun, send, events } = setUp({
    [COMPLETE]: () => refusal(409, 'upload_failed', 'The upload took too long.'),
  });
  const result = uploads.upload(file);
  await begun(1);
  events.say('upload_failed', { jobId: 'job-1', error: 'Too long.', code: 'upload_incomplete' });
  send().finish();
  await expect(result).rejects.toMatchObject({ message: 'The upload took too long.' });
});

test('what was said of an upload that is over does not end the new one', async () => {
  const { service, uploads, begun, send, events, entry } = setUp();
  service.routes[COMPLETE] = () => {
    events.say('upload_failed', { jobId: 'job-1', error: 'Lost.', code: 'upload_incomplete' });
    return refusal(404, 'upload_not_found', 'Lost.');
  };
  const first = uploads.upload(file);
  await begun(1);
  send().finish();
  await expect(first).rejects.toThrow('Lost.');
  service.routes[COMPLETE] = done;
  const second = uploads.upload(file);
  await begun(2);
  send(1).finish();
  await second;
  expect(entry()?.status).toBe('processing');
});

test('an ingest that ends before a repeated complete is not lost', async () => {
  const { service, uploads, begun, send, events, entry } = setUp({
    [COMPLETE]: () => refusal(500, 'internal', 'Broke.'),
  });
  const first = uploads.upload(file);
  await begun(1);
  events.say('upload_complete', { jobId: 'job-1', result: done });
  send().finish();
  await expect(first).rejects.toThrow('Broke.');
  service.routes[COMPLETE] = done;
  await uploads.retry(entry()?.id ?? '');
  expect(entry()?.status).toBe('complete');
});

test('when another user takes over, what runs is stopped and nothing is left to see', async () => {
  const { uploads, begun, send, transport, service } = setUp();
  transport.setHeaders(bearerOf('alice'));
  const all = uploads.uploadMany([1, 2, 3, 4].map((n) => fileOf(`${n}.png`)));
  await begun(3);
  transport.setHeaders(bearerOf('bob'));
  expect(uploads.get()).toMatchObject({ uploads: [], isUploading: false, error: null });
  expect(send().signal.aborted).toBe(true);
  expect((await all).map(({ status }) => status)).toEqual(Array(4).fill('rejected'));
  expect(service.routesAsked()).toEqual([INIT, INIT, INIT]);
});

test('a fresh token of the same user stops nothing', async () => {
  const { uploads, begun, send, transport } = setUp();
  transport.setHeaders(bearerOf('alice'));
  const result = uploads.upload(file);
  await begun(1);
  transport.setHeaders(bearerOf('alice', { exp: 2 }));
  send().finish();
  await expect(result).resolves.toEqual(done);
});

test('a refused address is renewed once, then the refusal stands', async () => {
  const { service, uploads, begun, send } = setUp();
  const result = uploads.upload(file);
  const expired = () => new ServiceError('Expired.', { code: 'storage_rejected', status: 403 });
  await begun(1);
  send(0).fail(expired());
  await begun(2);
  send(1).fail(expired());
  await expect(result).rejects.toMatchObject({ step: 'put', status: 403 });
  expect(service.routesAsked()).toEqual([INIT, INIT]);
});

test('an object that is already there goes on to complete', async () => {
  const { uploads, begun, send } = setUp();
  const result = uploads.upload(file);
  await begun(1);
  send().fail(new ServiceError('Exists.', { code: 'exists', status: 412 }));
  await expect(result).resolves.toEqual(done);
});

test('three files go at once, the fourth when one has ended', async () => {
  const { uploads, begun, send, puts, entry } = setUp();
  const all = uploads.uploadMany([1, 2, 3, 4].map((n) => fileOf(`${n}.png`)));
  await begun(3);
  expect(entry(3)?.status).toBe('queued');
  send().finish();
  await begun(4);
  for (const put of puts) put.finish();
  expect((await all).map(({ status }) => status)).toEqual(Array(4).fill('fulfilled'));
});

test('the same file given twice is two uploads', async () => {
  const { uploads, begun, puts } = setUp();
  const all = uploads.uploadMany([file, file]);
  await begun(2);
  for (const put of puts) put.finish();
  await all;
  expect(new Set(uploads.get().uploads.map(({ id }) => id)).size).toBe(2);
});

test('cancel stops the bytes and tells the service', async () => {
  const { uploads, begun, entry, service } = setUp();
  const result = uploads.upload(file);
  await begun(1);
  uploads.cancel(entry()?.id ?? '');
  await expect(result).rejects.toMatchObject({ code: 'aborted', retryable: false });
  expect(entry()?.status).toBe('cancelled');
  expect(uploads.get()).toMatchObject({ isUploading: false, error: null });
  expect(service.routesAsked()).toContain('POST /jobs/job-1/cancel');
});

test('a waiting file is cancelled by its signal without ever being asked for', async () => {
  const { uploads, begun, service } = setUp();
  void uploads.uploadMany([1, 2, 3].map((n) => fileOf(`${n}.png`)));
  await begun(3);
  const stop = new AbortController();
  const result = uploads.upload(file, { signal: stop.signal });
  stop.abort();
  await expect(result).rejects.toMatchObject({ code: 'aborted' });
  expect(service.calls).toHaveLength(3);
});

test('ingest has the last word, after the promise', async () => {
  const { uploads, begun, send, events, entry } = setUp();
  const result = uploads.upload(file);
  await begun(1);
  send().finish();
  await result;
  events.say('upload_failed', {
    jobId: 'job-1',
    error: 'Not a picture.',
    code: 'bad_media',
    retryable: false,
  });
  expect(entry()?.status).toBe('failed');
  expect(uploads.get().error).toMatchObject({
    step: 'ingest',
    code: 'bad_media',
    message: 'Not a picture.',
  });
});

test('an ingest that ends before complete has answered is not lost', async () => {
  const { uploads, begun, send, events, entry } = setUp();
  const result = uploads.upload(file);
  await begun(1);
  events.say('upload_complete', { jobId: 'job-1', result: done });
  send().finish();
  await result;
  expect(entry()?.status).toBe('complete');
  expect(events.listeners.size).toBe(0);
});

test('a new connection asks after files whose end nobody heard', async () => {
  const { uploads, begun, send, events, entry } = setUp({
    'GET /jobs/job-1': { state: 'succeeded' },
  });
  const result = uploads.upload(file);
  await begun(1);
  send().finish();
  await result;
  events.say('reset');
  await vi.waitFor(() => expect(entry()?.status).toBe('complete'));
});

test('a new connection ends a file whose job the service has lost', async () => {
  const { uploads, begun, send, events, entry } = setUp();
  const result = uploads.upload(file);
  await begun(1);
  send().finish();
  await result;
  events.say('reset');
  await vi.waitFor(() => expect(entry()?.status).toBe('failed'));
  expect(uploads.get().error).toMatchObject({
    step: 'ingest',
    code: 'job_not_found',
    message: 'The service no longer knows this file. Upload it again.',
  });
});

test('an empty file without a type is sent with the type that init was told', async () => {
  const { uploads, begun, send, service } = setUp();
  const result = uploads.upload(fileOf('empty', 0, ''));
  await begun(1);
  send().finish();
  await result;
  expect(service.calls[0]?.body).toEqual({
    filename: 'empty',
    contentType: 'application/octet-stream',
    size: 0,
  });
  expect(uploads.get().progress).toBe(100);
});

test('reset clears what has ended and leaves what runs', async () => {
  const { uploads, begun, send } = setUp();
  const first = uploads.upload(file);
  await begun(1);
  send().finish();
  await first;
  void uploads.upload(fileOf('second.png')).catch(() => undefined);
  uploads.reset();
  expect(uploads.get().uploads.map((entry) => entry.file.name)).toEqual(['second.png']);
});

test('a file that failed does not hold the progress of the others back', async () => {
  const { uploads, begun, send } = setUp();
  const all = uploads.uploadMany([fileOf('a.png'), fileOf('b.png')]);
  await begun(2);
  send(0).fail(new ServiceError('The connection to storage broke.', { code: 'network' }));
  await vi.waitFor(() => expect(uploads.get().error).not.toBeNull());
  send(1).onProgress(500);
  expect(uploads.get().progress).toBe(50);
  send(1).finish();
  await all;
  expect(uploads.get().progress).toBe(100);
});

test('a permission that ran out is renewed once; then a retry begins with init', async () => {
  const { service, uploads, begun, send, entry } = setUp();
  const result = uploads.upload(file);
  const expired = () =>
    new ServiceError('It ran out.', { code: 'expired', status: 400, retryable: true });
  await begun(1);
  send(0).fail(expired());
  await begun(2);
  send(1).fail(expired());
  await expect(result).rejects.toMatchObject({ step: 'put', code: 'expired', retryable: true });
  const again = uploads.retry(entry()?.id ?? '');
  await begun(3);
  send(2).finish();
  await expect(again).resolves.toEqual(done);
  expect(service.routesAsked()).toEqual([INIT, INIT, INIT, COMPLETE]);
});

function goOffline() {
  const line = vi.spyOn(navigator, 'onLine', 'get').mockReturnValue(false);
  return () => {
    line.mockReturnValue(true);
    window.dispatchEvent(new Event('online'));
  };
}

const broken = () => new ServiceError('The connection broke.', { code: 'network' });

test('a file whose PUT the network left waits for it, and goes on without a new init', async () => {
  const { service, uploads, begun, send, entry } = setUp();
  const result = uploads.upload(file);
  await begun(1);
  const comeBack = goOffline();
  send(0).fail(broken());
  await vi.waitFor(() => expect(entry()?.status).toBe('waiting'));
  expect(uploads.get()).toMatchObject({ isUploading: true, error: null });
  comeBack();
  await begun(2);
  send(1).finish();
  await expect(result).resolves.toEqual(done);
  expect(service.routesAsked()).toEqual([INIT, COMPLETE]);
});

test('a file begun without a network starts when there is one', async () => {
  const lost = () => Promise.reject(new TypeError('offline'));
  const { service, uploads, begun, send, entry } = setUp();
  const online = service.routes[INIT];
  service.routes[INIT] = lost;
  const comeBack = goOffline();
  const result = uploads.upload(file);
  await vi.waitFor(() => expect(entry()?.status).toBe('waiting'));
  service.routes[INIT] = online as never;
  comeBack();
  await begun(1);
  send().finish();
  await expect(result).resolves.toEqual(done);
});

test('complete waits for the network too, and sends no byte twice', async () => {
  const { service, uploads, begun, send, entry, puts } = setUp();
  service.routes[COMPLETE] = () => Promise.reject(new TypeError('offline'));
  const result = uploads.upload(file);
  await begun(1);
  const comeBack = goOffline();
  send().finish();
  await vi.waitFor(() => expect(entry()?.status).toBe('waiting'));
  service.routes[COMPLETE] = done;
  comeBack();
  await expect(result).resolves.toEqual(done);
  expect(puts).toHaveLength(1);
});

test('a file that waits for the network can be cancelled', async () => {
  const { uploads, begun, send, entry } = setUp();
  const result = uploads.upload(file);
  await begun(1);
  goOffline();
  send().fail(broken());
  await vi.waitFor(() => expect(entry()?.status).toBe('waiting'));
  uploads.cancel(entry()?.id ?? '');
  await expect(result).rejects.toMatchObject({ code: 'aborted' });
  expect(entry()?.status).toBe('cancelled');
});
