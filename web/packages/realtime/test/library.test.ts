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

test('an upload appears with its event, without asking the service', async () => {
  const { events, names, service } = await setUp({ 'GET /media': { items: [item('a', 10)] } });
  const result = { url: '', path: '', item: item('up', 20) };
  events.say('upload_complete', { jobId: 'j', result });
  expect(names()).toEqual(['up', 'a']);
  expect(service.routesAsked()).toEqual(['GET /media']);
});

test('a narrowed view shows an upload once the service lists it', async () => {
  const route = 'GET /media?source=upload';
  const { events, names, service } = await setUp(
    { [route]: { items: [item('a')] } },
    { source: 'upload' },
  );
  service.routes[route] = { items: [item('up'), item('a')] };
  events.say('upload_complete', { jobId: 'j', result: { url: '', path: '', item: item('up') } });
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

test('what arrives while the first page is still on its way is not lost', async () => {
  let answer = (_: Response) => undefined as unknown;
  const held = new Promise<Response>((resolve) => {
    answer = resolve;
  });
  const service = stubService({ 'GET /media': () => held });
  const events = createTestEvents();
  const client = { transport: createTransport(''), events, setHeaders: () => undefined };
  const library = createLibrary(client);
  library.follow();
  service.routes['GET /media'] = { items: [item('new', 2), item('a', 1)] };
  events.say('generation_complete', { jobId: 'j', result: { items: [item('new', 2)] } });
  answer(Response.json({ items: [item('a', 1)] }));
  await vi.waitFor(() => expect(library.get().items).toHaveLength(2));
});

test('of many removed at once those that the service could not delete return to their places', async () => {
  const failed = [{ path: 'media/u/images/c', code: 'database_unavailable', error: 'Later.' }];
  const { library, names, service } = await setUp({
    'GET /media': { items: ['a', 'b', 'c', 'd'].map((name) => item(name)) },
    'POST /media/delete': {
      deleted: ['media/u/images/a', 'media/u/images/b'],
      failed,
      more: false,
    },
  });
  const paths = ['a', 'b', 'c'].map((name) => `media/u/images/${name}`);
  const removal = library.removeMany(paths);
  expect(names()).toEqual(['d']);
  await expect(removal).resolves.toMatchObject({ failed });
  expect(names()).toEqual(['c', 'd']);
  expect(service.calls.at(-1)?.body).toEqual({ paths });
});

test('when a removal of many fails, all return to their places', async () => {
  const { library, names } = await setUp({
    'GET /media': { items: ['a', 'b', 'c'].map((name) => item(name)) },
    'POST /media/delete': () => refusal(503, 'database_unavailable', 'Later.'),
  });
  const removal = library.removeMany(['media/u/images/a', 'media/u/images/c']);
  expect(names()).toEqual(['b']);
  await expect(removal).rejects.toThrow('Later.');
  expect(names()).toEqual(['a', 'b', 'c']);
});

test('more paths than a request may name go in several; what fails after the first is told', async () => {
  let requests = 0;
  const { library, service } = await setUp({
    'GET /media': { items: [] },
    'POST /media/delete': () => {
      requests += 1;
      if (requests === 2) return refusal(503, 'database_unavailable', 'Later.');
      return Response.json({ deleted: ['x'], failed: [], more: false });
    },
  });
  const paths = Array.from({ length: 2_001 }, (_, index) => `media/u/${index}`);
  const answer = await library.removeMany(paths);
  expect(requests).toBe(3);
  expect(
    service.calls.slice(1).map(({ body }) => (body as typeof answer & { paths: [] }).paths.length),
  ).toEqual([1_000, 1_000, 1]);
  expect(answer.deleted).toHaveLength(2);
  expect(answer.failed).toHaveLength(1_000);
  expect(answer.failed[0]).toEqual({
    path: 'media/u/1000',
    code: 'database_unavailable',
    error: 'Later.',
  });
});

test('a removal by filter goes on until the service has no more that fits', async () => {
  const answers = [
    { deleted: ['media/u/images/a'], failed: [], more: true },
    { deleted: ['media/u/images/b'], failed: [], more: false },
  ];
  const { library, names, service } = await setUp({
    'GET /media': { items: ['a', 'b', 'c'].map((name) => item(name)) },
    'POST /media/delete': () => Response.json(answers.shift()),
  });
  const { deleted } = await library.removeMatching({ kind: 'image', q: 'sea' });
  expect(deleted).toEqual(['media/u/images/a', 'media/u/images/b']);
  expect(names()).toEqual(['c']);
  expect(service.calls.at(-1)?.body).toEqual({ kind: 'image', q: 'sea' });
});

test('a new name shows at once and is taken back when the service refuses', async () => {
  const route = 'PATCH /media/media/u/images/a';
  const { library, names, service } = await setUp({
    'GET /media': { items: [item('a')] },
    [route]: () => refusal(422, 'invalid_request', 'Too long.'),
  });
  const path = 'media/u/images/a';
  const refused = library.update(path, { name: 'dawn' });
  expect(names()).toEqual(['dawn']);
  await expect(refused).rejects.toThrow('Too long.');
  expect(names()).toEqual(['a']);
  service.routes[route] = { ...item('a'), name: 'dawn', alt: 'A lighthouse' };
  await library.update(path, { name: 'dawn', alt: 'A lighthouse' });
  expect(library.get().items[0]).toMatchObject({ name: 'dawn', alt: 'A lighthouse' });
});

test('in a view by size a new item stands where its size puts it', async () => {
  const route = 'GET /media?sort=largest';
  const sized = (name: string, size: number) => ({ ...item(name), size });
  const { events, names, service } = await setUp(
    { [route]: { items: [sized('big', 9), sized('small', 1)] } },
    { sort: 'largest' },
  );
  service.routes[route] = { items: [sized('big', 9), sized('mid', 5), sized('small', 1)] };
  events.say('generation_complete', { jobId: 'j', result: { items: [sized('mid', 5)] } });
  await vi.waitFor(() => expect(names()).toEqual(['big', 'mid', 'small']));
});
