import { act, renderHook, waitFor } from '@testing-library/react';
import { StrictMode } from 'react';
import { beforeEach, expect, test, vi } from 'vitest';
import { createClient, getGenerate, subjectOf } from '../src/client.js';
import { useJobs, useMediaLibrary } from '../src/index.js';
import type { HeaderSource } from '../src/transport.js';
import { bearerOf, refusal, stubService, tokenOf } from './doubles.js';

let nth = 0;
beforeEach(() => {
  nth += 1;
});

const jobOf = (user: string) => ({ jobId: `job-of-${user}`, state: 'running', attempts: [] });
const itemOf = (user: string) => ({ path: `item-of-${user}`, url: 'u' });
const never = () => new Promise<Response>(() => undefined);

function show(headers: HeaderSource) {
  const service = stubService({
    'GET /jobs': { jobs: [jobOf('alice')] },
    'GET /media': { items: [itemOf('alice')] },
    'GET /events': never,
  });
  const use = ({ headers }: { headers: HeaderSource }) => {
    const options = { apiPrefix: '', serviceName: `identity-${nth}`, headers };
    return { ...useJobs(options), items: useMediaLibrary(options).items };
  };
  const view = renderHook(use, { wrapper: StrictMode, initialProps: { headers } });
  const seen = () => [
    ...view.result.current.jobs.map(({ jobId }) => jobId),
    ...view.result.current.items.map(({ path }) => path),
  ];
  return { ...view, service, seen };
}

const alices = ['job-of-alice', 'item-of-alice'];

test('another user sees nothing of the last one, not even before the first answer', async () => {
  const { seen, service, rerender, unmount } = show(bearerOf('alice'));
  await waitFor(() => expect(seen()).toEqual(alices));
  Object.assign(service.routes, { 'GET /jobs': never, 'GET /media': never });
  rerender({ headers: bearerOf('bob') });
  expect(seen()).toEqual([]);
  unmount();
});

test('another user gets what is theirs', async () => {
  const { seen, service, rerender, unmount } = show(bearerOf('alice'));
  await waitFor(() => expect(seen()).toEqual(alices));
  Object.assign(service.routes, {
    'GET /jobs': { jobs: [jobOf('bob')] },
    'GET /media': { items: [itemOf('bob')] },
  });
  rerender({ headers: bearerOf('bob') });
  await waitFor(() => expect(seen()).toEqual(['job-of-bob', 'item-of-bob']));
  unmount();
});

test('a fresh token of the same user takes nothing away', async () => {
  const { seen, service, rerender, unmount } = show(bearerOf('alice'));
  await waitFor(() => expect(seen()).toEqual(alices));
  Object.assign(service.routes, { 'GET /jobs': never, 'GET /media': never });
  rerender({ headers: bearerOf('alice', { exp: 2 }) });
  expect(seen()).toEqual(alices);
  unmount();
});

test('an answer to the last user that comes late is shown to nobody', async () => {
  const answers: ((response: Response) => void)[] = [];
  const { seen, service, rerender, unmount, result } = show(bearerOf('alice'));
  await waitFor(() => expect(seen()).toEqual(alices));
  const held = () => new Promise<Response>((resolve) => void answers.push(resolve));
  Object.assign(service.routes, { 'GET /jobs': held, 'GET /media': held });
  act(() => void result.current.refetch());
  await waitFor(() => expect(answers).toHaveLength(1));
  Object.assign(service.routes, { 'GET /jobs': never, 'GET /media': never });
  rerender({ headers: bearerOf('bob') });
  await act(async () => answers[0]?.(Response.json({ jobs: [jobOf('alice')] })));
  expect(seen()).toEqual([]);
  expect(result.current.error).toBeNull();
  unmount();
});

test('a token function that begins to speak for another is noticed with its next request', async () => {
  let user = 'alice';
  const { seen, service, unmount, result } = show(async () => bearerOf(user));
  await waitFor(() => expect(seen()).toEqual(alices));
  Object.assign(service.routes, { 'GET /jobs': never, 'GET /media': never });
  user = 'bob';
  act(() => void result.current.refetch());
  await waitFor(() => expect(seen()).toEqual([]));
  unmount();
});

test('a token function that is slow does not bring the last user back', async () => {
  const tokens: ((headers: ReturnType<typeof bearerOf>) => void)[] = [];
  const { calls } = stubService({ 'GET /a': {} });
  const slow = () => new Promise<ReturnType<typeof bearerOf>>((resolve) => tokens.push(resolve));
  const { transport } = createClient({ apiPrefix: '', serviceName: 'slow', headers: slow });
  const late = transport.send('GET', '/a');
  const refused = expect(late).rejects.toMatchObject({ code: 'aborted' });
  transport.setHeaders(bearerOf('bob'));
  tokens[0]?.(bearerOf('alice'));
  await refused;
  expect(calls).toEqual([]);
});

test('a request of the last user whose answer was lost lends its key to nobody', async () => {
  const service = stubService({ 'POST /generate/image': () => refusal(503, 'busy', 'Later.') });
  const client = createClient({ apiPrefix: '', serviceName: 'k', headers: bearerOf('alice') });
  const ask = () => getGenerate(client)('image', { prompt: 'sea' }).catch(() => undefined);
  await ask();
  client.setHeaders(bearerOf('bob'));
  await ask();
  const keys = service.calls.map(({ headers }) => headers['Idempotency-Key']);
  expect(new Set(keys).size).toBe(2);
});

test('forgetting the headers forgets the user', async () => {
  const forgotten = vi.fn();
  const client = createClient({ apiPrefix: '', serviceName: 'f' });
  client.transport.onHandover(forgotten);
  client.setHeaders(bearerOf('alice'));
  expect(forgotten).not.toHaveBeenCalled();
  client.setHeaders(undefined);
  client.setHeaders(bearerOf('bob'));
  expect(forgotten).toHaveBeenCalledTimes(1);
});

test('the subject is read from a token, and of anything else there is none', () => {
  expect(subjectOf(tokenOf('ann?>~'))).toBe('ann?>~');
  for (const token of ['', 'opaque', 'a.b.c', 'Bearer x.e30.y']) {
    expect(subjectOf(token)).toBeUndefined();
  }
});
