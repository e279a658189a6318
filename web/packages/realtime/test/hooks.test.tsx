import { act, renderHook, waitFor } from '@testing-library/react';
import { StrictMode } from 'react';
import { beforeEach, expect, test, vi } from 'vitest';
import {
  useGenerate,
  useJob,
  useJobEvents,
  useMediaLibrary,
  useMediaUpload,
  useMediaUsage,
} from '../src/index.js';
import { fileOf, refusal, stubEventSource, stubService } from './doubles.js';

let serviceName = '';
let nth = 0;
beforeEach(() => {
  nth += 1;
  serviceName = `service-${nth}`;
});

const options = () => ({ apiPrefix: '', serviceName, headers: { Authorization: 'Bearer a' } });
function useTwice() {
  useJobEvents(options());
  return useJobEvents(options()).status;
}

const strict = { wrapper: StrictMode };

test('hooks of one prefix and service share one connection, also under StrictMode', async () => {
  const { fetch } = stubEventSource();
  const { result, unmount } = renderHook(useTwice, strict);
  await waitFor(() => expect(result.current).toBe('open'));
  expect(fetch).toHaveBeenCalledTimes(1);
  unmount();
});

test('the handler of the last render hears the event', async () => {
  const source = stubEventSource();
  const [old, fresh] = [vi.fn(), vi.fn()];
  const { rerender, result, unmount } = renderHook(
    ({ onEvent }) => useJobEvents({ ...options(), jobId: 'j', onEvent }),
    {
      ...strict,
      initialProps: { onEvent: old },
    },
  );
  rerender({ onEvent: fresh });
  await waitFor(() => expect(result.current.status).toBe('open'));
  const send = (frame: string) =>
    act(async () =>
      source
        .last()
        .send(frame)
        .catch(() => undefined),
    );
  await send(
    'event: job_queued\ndata: {"jobId":"other"}\n\nevent: job_queued\ndata: {"jobId":"j"}\n\n',
  );
  await waitFor(() => expect(fresh).toHaveBeenCalledTimes(1));
  expect(old).not.toHaveBeenCalled();
  unmount();
});

test('a new token reconnects, a new object that says the same does not', async () => {
  const source = stubEventSource();
  const { rerender, unmount, result } = renderHook(
    ({ token }) => useJobEvents({ apiPrefix: '', serviceName, headers: { Authorization: token } }),
    { initialProps: { token: 'Bearer a' } },
  );
  await waitFor(() => expect(result.current.status).toBe('open'));
  rerender({ token: 'Bearer a' });
  expect(source.fetch).toHaveBeenCalledTimes(1);
  rerender({ token: 'Bearer b' });
  await waitFor(() => expect(source.fetch).toHaveBeenCalledTimes(2));
  expect(source.last().headers.Authorization).toBe('Bearer b');
  unmount();
});

test('useMediaUpload uploads, and tells its failure until reset', async () => {
  stubService({ 'POST /media/upload/init': () => refusal(413, 'too_large', 'At most 2 GiB.') });
  const { result, unmount } = renderHook(() => useMediaUpload(options()), strict);
  expect(result.current).toMatchObject({ isUploading: false, progress: 0, error: null });
  await act(async () => {
    await expect(result.current.upload(fileOf())).rejects.toThrow('At most 2 GiB.');
  });
  expect(result.current.error).toMatchObject({ code: 'too_large', status: 413, retryable: false });
  act(() => result.current.reset());
  expect(result.current).toMatchObject({ error: null, uploads: [] });
  unmount();
});

test('useGenerate tells that it sends, and what was refused', async () => {
  stubService({ 'POST /generate/image': () => refusal(422, 'invalid_request', 'Write a prompt.') });
  const { result } = renderHook(() => useGenerate(options()), strict);
  let sending: Promise<unknown> = Promise.resolve();
  act(() => {
    sending = result.current.generate('image', { prompt: '' }).catch(() => undefined);
  });
  expect(result.current.isSubmitting).toBe(true);
  await act(() => sending.then(() => undefined));
  expect(result.current.isSubmitting).toBe(false);
  expect(result.current.error?.message).toBe('Write a prompt.');
});

test('useJob reads its job and cancels it', async () => {
  const job = {
    jobId: 'j',
    kind: 'image',
    state: 'running',
    progress: 5,
    message: '',
    attempts: [],
    createdAt: '',
  };
  const service = stubService({ 'GET /jobs/j': job, 'POST /jobs/j/cancel': {} });
  const { result, unmount } = renderHook(() => useJob('j', options()), strict);
  await waitFor(() => expect(result.current.job?.progress).toBe(5));
  await act(() => result.current.cancel());
  expect(service.routesAsked()).toContain('POST /jobs/j/cancel');
  unmount();
});

test('useMediaLibrary shows what is there under StrictMode', async () => {
  stubService({ 'GET /media?kind=image': { items: [{ path: 'p', url: 'u' }], nextCursor: null } });
  const { result, unmount } = renderHook(
    () => useMediaLibrary({ ...options(), kind: 'image' }),
    strict,
  );
  expect(result.current.isLoading).toBe(true);
  await waitFor(() => expect(result.current.items).toHaveLength(1));
  expect(result.current.isLoading).toBe(false);
  unmount();
});

test('under StrictMode a file is announced once', async () => {
  const service = stubService({
    'POST /media/upload/init': () => refusal(503, 'busy', 'Later.'),
  });
  const { result, unmount } = renderHook(() => useMediaUpload(options()), strict);
  await act(async () => {
    await expect(result.current.upload(fileOf())).rejects.toThrow('Later.');
  });
  const announced = service.routesAsked().filter((route) => route.startsWith('POST'));
  expect(announced).toEqual(['POST /media/upload/init']);
  expect(result.current.uploads).toHaveLength(1);
  unmount();
});

test('useMediaUsage tells under StrictMode what is kept', async () => {
  const usage = { bytes: 5, objects: 1, quotaBytes: 10, quotaObjects: null, limits: [] };
  stubService({ 'GET /media/usage': usage });
  const { result, unmount } = renderHook(() => useMediaUsage(options()), strict);
  expect(result.current.usage).toBeNull();
  await waitFor(() => expect(result.current.usage).toEqual(usage));
  unmount();
});
