import { aborted, describeProblem, ServiceError } from './errors.js';

export interface PutOptions {
  url: string;
  body: Blob;
  headers: Record<string, string>;
  signal: AbortSignal;
  onProgress: (loaded: number) => void;
}

/** Send bytes straight to storage. XMLHttpRequest, because fetch cannot tell upload progress. */
export function putBytes({ url, body, headers, signal, onProgress }: PutOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(aborted());
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    signal.addEventListener('abort', abort, { once: true });
    request.upload.onprogress = (event) => onProgress(event.loaded);
    request.onload = () => (isOk(request.status) ? resolve() : reject(describeAnswer(request)));
    request.onerror = () =>
      reject(new ServiceError('The connection to storage broke.', { code: 'network' }));
    request.onabort = () => reject(aborted());
    request.onloadend = () => signal.removeEventListener('abort', abort);
    request.open('PUT', url);
    for (const [name, value] of unique(headers)) request.setRequestHeader(name, value);
    request.send(body);
  });
}

// setRequestHeader appends, and a doubled header breaks the signature of the URL.
function unique(headers: Record<string, string>): Iterable<[string, string]> {
  return new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

function isOk(status: number): boolean {
  return status >= 200 && status < 300;
}

function describeAnswer(request: XMLHttpRequest): ServiceError {
  const error = describeProblem(request.status, parse(request.responseText));
  if (error.problem) return error;
  return new ServiceError(`Storage refused the file (${request.status}).`, {
    code: request.status === 413 ? 'too_large' : 'storage_rejected',
    status: request.status,
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
