import { beforeEach, expect, test, vi } from 'vitest';
import { putBytes } from '../src/put.js';
import { fileOf } from './doubles.js';

class TestRequest {
  static last: TestRequest;
  upload: { onprogress?: (event: { loaded: number }) => void } = {};
  status = 0;
  responseText = '';
  headers: [string, string][] = [];
  opened: [string, string] | undefined;
  onload?: () => void;
  onerror?: () => void;
  onabort?: () => void;
  onloadend?: () => void;

  constructor() {
    TestRequest.last = this;
  }

  open(method: string, url: string) {
    this.opened = [method, url];
  }

  setRequestHeader(name: string, value: string) {
    this.headers.push([name, value]);
  }

  send() {}

  abort() {
    this.onabort?.();
    this.onloadend?.();
  }

  answer(status: number, text = '') {
    Object.assign(this, { status, responseText: text });
    this.onload?.();
    this.onloadend?.();
  }
}

beforeEach(() => vi.stubGlobal('XMLHttpRequest', TestRequest));

function send(headers: Record<string, string> = {}) {
  const controller = new AbortController();
  const onProgress = vi.fn();
  const result = putBytes({
    url: 'https://storage/x',
    body: fileOf(),
    headers,
    signal: controller.signal,
    onProgress,
  });
  return { result, controller, onProgress, request: TestRequest.last };
}

test('the headers of init go out as they are, each once', async () => {
  const { request, result } = send({
    'Content-Type': 'image/png',
    'content-type': 'image/png',
    'x-goog-if-generation-match': '0',
  });
  expect(request.opened).toEqual(['PUT', 'https://storage/x']);
  expect(request.headers).toEqual([
    ['content-type', 'image/png'],
    ['x-goog-if-generation-match', '0'],
  ]);
  request.answer(200);
  await result;
});

test('progress is the bytes the browser has sent', async () => {
  const { request, result, onProgress } = send();
  request.upload.onprogress?.({ loaded: 40 });
  expect(onProgress).toHaveBeenCalledWith(40);
  request.answer(201);
  await result;
});

test.each([
  [413, '', 'too_large', 'If trying again does not help'],
  [400, 'EntityTooLarge', 'too_large', 'Choose it again.'],
  [400, 'EntityTooSmall', 'too_small', 'Choose it again.'],
  [400, 'ExpiredToken', 'expired', 'Try again.'],
  [403, 'SignatureDoesNotMatch', 'storage_rejected', '(SignatureDoesNotMatch)'],
  [403, '', 'storage_rejected', '(403)'],
])('a refusal %i %s in XML becomes a sentence to act on', async (status, said, code, sentence) => {
  const { request, result } = send();
  request.answer(status, said && `<?xml version='1.0'?><Error><Code>${said}</Code></Error>`);
  await expect(result).rejects.toMatchObject({
    status,
    code,
    retryable: code === 'expired',
    message: expect.stringContaining(sentence),
  });
});

test('a refusal as a problem is told in its own words', async () => {
  const { request, result } = send();
  request.answer(
    507,
    JSON.stringify({
      title: 'Full',
      detail: 'The store is full.',
      code: 'storage_full',
      status: 507,
    }),
  );
  await expect(result).rejects.toMatchObject({
    message: 'The store is full.',
    code: 'storage_full',
  });
});

test('a broken connection is retryable, a cancelled one is not', async () => {
  const broken = send();
  broken.request.onerror?.();
  await expect(broken.result).rejects.toMatchObject({ code: 'network', retryable: true });
  const cancelled = send();
  cancelled.controller.abort();
  await expect(cancelled.result).rejects.toMatchObject({ code: 'aborted', retryable: false });
});
