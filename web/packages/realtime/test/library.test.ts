import { expect, test, vi } from 'vitest';
import type { MediaItem } from '../src/contract.js';
import { createLibrary, type LibraryQuery } from '../src/library.js';
import { createTransport } from '../src/transport.js';
import { createTestEvents, refusal, stubService } from './doubles.js';

const item = (name: string, second = 0): MediaItem => ({
  path: `media/u/images/${name}`,
  url: `https://cdn/${name}`,
  contentType: 'image/png',
  size: 1,
  createdAt: new Date(second * 1000).toISOString(),
  kind: 'image',
  source: 'generated',
  name,
});

async function setUp(routes: Parameters<typeof stubService>[0], query?: LibraryQuery) {
  const service = stubService(routes);
  const events = createTestEvents();
  const client = { transport: createTransport(''), events, setHeaders: () => undefined };
  const library = createLibrary(client, query);
  library.follow();
  await vi.waitFor(() => expect(library.get().status).not.toBe('loading'));
  return { service, events, library, names: () => library.get().items.map(({ name }) => name) };
}

test('a finished generation appears on top, once', async () => {
  const { events, names } = await setUp({ 'GET /media': { items: [item('a')] } });
  const result = { items: [item('b')] };
  events.say('generation_complete', { jobId: 'j', result });
  events.say('generation_complete', { jobId: 'j', result });
  expect(names()).toEqual(['b', 'a']);
});

test('what arrives live stands where the service will list it', async () => {
  const { events, names } = await setUp({
    'GET /media': { items: [item('b', 20), item('a', 10)] },
  });
  const result = { items: [item('old', 15), item('new', 30)] };
  events.say('generation_complete', { jobId: 'j', result });
  expect(names()).toEqual(['new', 'b', 'old', 'a']);
});

test('an upload appears once the service lists it', async () => {
  const { events, names, service } = await setUp({ 'GET /media': { items: [item('a')] } });
  service.routes['GET /media'] = { items: [item('up'), item('a')] };
  events.say('upload_complete', { jobId: 'j', result: { url: '', path: '' } });
  await vi.waitFor(() => expect(names()).toEqual(['up', 'a']));
});

test('a narrowed view asks the service what belongs to it', async () => {
  const { events, names } = await setUp(
    { 'GET /media?kind=video': { items: [] } },
    { kind: 'video' },
  );
  events.say('generation_complete', { jobId: 'j', result: { items: [item('b')] } });
  await Promise.resolve();
  expect(names()).toEqual([]);
});

test('pages follow each other without doubles', async () => {
  const { library, names } = await setUp({
    'GET /media': { items: [item('a'), item('b')], nextCursor: 'c=1' },
    'GET /media?cursor=c%3D1': { items: [item('b'), item('c')], nextCursor: null },
  });
  expect(library.get().hasMore).toBe(true);
  await library.loadMore();
  expect(names()).toEqual(['a', 'b', 'c']);
  expect(library.get().hasMore).toBe(false);
});

test('a removed item leaves at once and returns to its place when the service refuses', async () => {
  const { library, names } = await setUp({
    'GET /media': { items: [item('a'), item('b'), item('c')] },
    'DELETE /media/media/u/images/b': () => refusal(503, 'storage_unavailable', 'Try again.'),
  });
  const removal = library.remove('media/u/images/b');
  expect(names()).toEqual(['a', 'c']);
  await expect(removal).rejects.toMatchObject({ message: 'Try again.' });
  expect(names()).toEqual(['a', 'b', 'c']);
});

test('an item being removed is not brought back by a page read meanwhile', async () => {
  const { library, names } = await setUp({
    'GET /media': { items: [item('a'), item('b')] },
    'DELETE /media/media/u/images/b': () => new Response(null, { status: 204 }),
  });
  const removal = library.remove('media/u/images/b');
  await library.refetch();
  expect(names()).toEqual(['a']);
  await removal;
});

test('what was deleted elsewhere leaves', async () => {
  const { events, names } = await setUp({ 'GET /media': { items: [item('a'), item('b')] } });
  events.say('media_deleted', { paths: ['media/u/images/a'] });
  expect(names()).toEqual(['b']);
});

test('after reset the library is read again', async () => {
  const { events, names, service } = await setUp({ 'GET /media': { items: [item('a')] } });
  service.routes['GET /media'] = { items: [item('z')] };
  events.say('reset');
  await vi.waitFor(() => expect(names()).toEqual(['z']));
});

test('a name with reserved characters is deleted by its own path', async () => {
  const { library, service } = await setUp({ 'GET /media': { items: [] } });
  await library.remove('media/u=40x/id/50% off? #1.png');
  expect(service.routesAsked()).toContain(
    'DELETE /media/media/u%3D40x/id/50%25%20off%3F%20%231.png',
  );
});

test('a service that cannot be reached is an error state, mended by the next read', async () => {
  const { library, service, names } = await setUp({
    'GET /media': () => refusal(500, 'internal', 'Broke.'),
  });
  expect(library.get()).toMatchObject({ status: 'error', error: { message: 'Broke.' } });
  service.routes['GET /media'] = { items: [item('a')] };
  await library.refetch();
  expect(names()).toEqual(['a']);
  expect(library.get().error).toBeNull();
});
