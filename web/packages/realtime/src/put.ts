import { aborted, describeProblem, isRetryable, ServiceError } from './errors.js';

export interface PutOptions {
  url: string;
  body: Blob;
  headers: Record<string, string>;
  signal: AbortSignal;
  onProgress: (loaded: number) => void;
}

const OTHER_SIZE = 'The file is not of the size that was announced. Choose it again.';

/** What a bucket says in XML, as a code and a sentence of ours. */
const REFUSALS: Record<string, [code: string, message: string]> = {
  ExpiredToken: ['expired', 'The permission to upload ran out. Try again.'],
  EntityTooLarge: ['too_large', OTHER_SIZE],
  EntityTooSmall: ['too_small', OTHER_SIZE],
};

/** Send bytes straight to storage. */
export async function putBytes(options: PutOptions): Promise<void> {
  const answer = await exchange(options);
  if (!isOk(answer)) throw describeAnswer(answer);
}

/** PUT and give the answer, whatever it is. XMLHttpRequest, because fetch cannot tell upload progress. */
export function exchange(options: PutOptions): Promise<XMLHttpRequest> {
  const { url, body, headers, signal, onProgress } = options;
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(aborted());
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    signal.addEventListener('abort', abort, { once: true });
    request.upload.onprogress = (event) => onProgress(event.loaded);
    request.onload = () => resolve(request);
    request.onerror = () =>
      reject(new ServiceError('The connection to storage broke.', { code: 'network' }));
    request.onabort = () => reject(aborted());
    request.onloadend = () => signal.removeEventListener('abort', abort);
    request.open('PUT', url);
    for (const [name, value] of unique(headers)) request.setRequestHeader(name, value);
    request.send(body);
  });
}

export function isOk({ status }: XMLHttpRequest): boolean {
  return status >= 200 && status < 300;
}

export function describeAnswer({ status, responseText }: XMLHttpRequest): ServiceError {
  const error = describeProblem(status, parse(responseText));
  if (error.problem) return error;
  const said = /<Code>(\w+)/.exec(responseText)?.[1] ?? status;
  const [code, message] = REFUSALS[said] ?? [
    status === 413 ? 'too_large' : 'storage_rejected',
    `Storage refused the file (${said}). If trying again does not help, tell whoever runs this service.`,
  ];
  return new ServiceError(message, {
    code,
    status,
    retryable: code === 'expired' || isRetryable(status),
  });
}

// setRequestHeader appends, and a doubled header breaks the signature of the URL.
function unique(headers: Record<string, string>): Iterable<[string, string]> {
  return new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
