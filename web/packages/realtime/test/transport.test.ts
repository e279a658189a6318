import { expect, test, vi } from 'vitest';
import { readRetryAfter } from '../src/errors.js';
import { createTransport } from '../src/transport.js';
import { refusal, stubService } from './doubles.js';

test('relative addresses stand under the prefix, complete ones stay', () => {
  const { resolve } = createTransport('https://api.example.com/media/');
  expect(resolve('/storage/a?sig=1')).toBe('https://api.example.com/media/storage/a?sig=1');
  expect(resolve('storage/a')).toBe('https://api.example.com/media/storage/a');
  expect(resolve('https://storage.googleapis.com/b')).toBe('https://storage.googleapis.com/b');
  expect(createTransport('').resolve('/events')).toBe('/events');
});

test('a problem becomes an error with its sentence and code', async () => {
  stubService({
    'GET /media': () => refusal(422, 'invalid_cursor', 'Begin again without the cursor.'),
  });
  const failure = createTransport('').send('GET', '/media');
  await expect(failure).rejects.toMatchObject({
    message: 'Begin again without the cursor.',
    code: 'invalid_cursor',
    status: 422,
    retryable: false,
  });
});

test.each([
  [429, true],
  [503, true],
  [500, true],
  [507, false],
  [404, false],
  [413, false],
])('%i is retryable: %s', async (status, retryable) => {
  stubService({ 'GET /media': () => refusal(status, 'x', 'No.') });
  await expect(createTransport('').send('GET', '/media')).rejects.toMatchObject({ retryable });
});

test('a network that is gone is a retryable error', async () => {
  vi.stubGlobal('fetch', () => Promise.reject(new TypeError('Failed to fetch')));
  await expect(createTransport('').send('GET', '/media')).rejects.toMatchObject({
    code: 'network',
    status: 0,
    retryable: true,
  });
});

test('a request without a body carries no content type', async () => {
  const { calls } = stubService({ 'GET /media': { items: [] } });
  await createTransport('', { 'X-A': '1' }).send('GET', '/media');
  expect(calls[0]?.headers).toEqual({ 'X-A': '1' });
});

test('a 401 asks a token function once more, and only once', async () => {
  const asked: boolean[] = [];
  const { calls } = stubService({ 'GET /media': () => refusal(401, 'unauthorized', 'Sign in.') });
  const transport = createTransport('', ({ refresh }) => {
    asked.push(refresh);
    return {};
  });
  await expect(transport.send('GET', '/media')).rejects.toMatchObject({ code: 'unauthorized' });
  expect(asked).toEqual([false, true]);
  expect(calls).toHaveLength(2);
});

test('Retry-After is read as seconds and as a date', () => {
  const at = Date.parse('2026-01-01T00:00:00Z');
  const read = (value: string) => readRetryAfter(new Headers({ 'retry-after': value }), at);
  expect(read('3')).toBe(3_000);
  expect(read('Thu, 01 Jan 2026 00:00:09 GMT')).toBe(9_000);
  expect(read('soon')).toBeUndefined();
});
