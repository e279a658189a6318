import { aborted, readProblem, ServiceError } from './errors.js';
import { createIdentity, type HeaderMap } from './identity.js';

/** Headers of every request; a function is asked each time, with `refresh` after a 401. */
export type HeaderSource =
  | HeaderMap
  | ((options: { refresh: boolean }) => HeaderMap | Promise<HeaderMap>);

export interface SendOptions {
  body?: unknown;
  headers?: HeaderMap;
  signal?: AbortSignal | undefined;
}

export interface Transport {
  send<T>(method: string, path: string, options?: SendOptions): Promise<T>;
  open(path: string, options: SendOptions): Promise<Response>;
  resolve(url: string): string;
  /** Replace the headers; true when the same user now sends others and the stream should follow. */
  setHeaders(headers: HeaderSource | undefined): boolean;
  /** Hear that another user has taken over, or nobody: forget what was the last one's. */
  onHandover(listener: () => void): () => void;
  canRefresh(): boolean;
}

export function createTransport(apiPrefix: string, initial: HeaderSource = {}): Transport {
  let source = initial;
  const identity = createIdentity();
  const prefix = apiPrefix.replace(/\/+$/, '');

  function resolve(url: string): string {
    if (/^([a-z][a-z0-9+.-]*:)?\/\//i.test(url)) return url;
    return `${prefix}${url.startsWith('/') ? '' : '/'}${url}`;
  }

  async function introduce(refresh: boolean): Promise<HeaderMap> {
    const turn = identity.begin();
    const own = typeof source === 'function' ? await source({ refresh }) : source;
    identity.meet(own, turn);
    return own;
  }

  /** The answer, if who asked is still there to be told. */
  async function whileHere<T>(answer: Promise<T>): Promise<T> {
    const mine = identity.tenure();
    await answer.catch(() => undefined);
    if (mine !== identity.tenure()) throw aborted();
    return answer;
  }

  async function request(method: string, path: string, options: SendOptions, refresh: boolean) {
    const own = await introduce(refresh);
    const json = options.body !== undefined;
    const answer = fetch(resolve(path), {
      method,
      cache: 'no-store',
      headers: {
        ...own,
        ...(json && { 'Content-Type': 'application/json' }),
        ...options.headers,
      },
      ...(json && { body: JSON.stringify(options.body) }),
      ...(options.signal && { signal: options.signal }),
    });
    return whileHere(answer);
  }

  async function attempt(method: string, path: string, options: SendOptions) {
    try {
      const response = await request(method, path, options, false);
      if (response.status !== 401 || typeof source !== 'function') return response;
      return await request(method, path, options, true);
    } catch (error) {
      throw describeFailure(error, options.signal);
    }
  }

  return {
    resolve,
    open: (path, options) => attempt('GET', path, options),
    async send<T>(method: string, path: string, options: SendOptions = {}) {
      const response = await attempt(method, path, options);
      if (!response.ok) throw await readProblem(response);
      const text = await whileHere(response.text());
      return (text ? JSON.parse(text) : undefined) as T;
    },
    setHeaders(headers = {}) {
      const changed = !sameHeaders(source, headers);
      source = headers;
      if (typeof headers === 'function') return changed;
      return !identity.meet(headers, identity.begin()) && changed;
    },
    onHandover: identity.onHandover,
    canRefresh: () => typeof source === 'function',
  };
}

function describeFailure(error: unknown, signal: AbortSignal | undefined): ServiceError {
  if (error instanceof ServiceError) return error;
  if (signal?.aborted) return aborted();
  return new ServiceError('The service cannot be reached.', { code: 'network' });
}

// Two functions count as the same: an inline function is a new one on every render.
function sameHeaders(one: HeaderSource, other: HeaderSource): boolean {
  if (typeof one === 'function' || typeof other === 'function') return typeof one === typeof other;
  const keys = new Set([...Object.keys(one), ...Object.keys(other)]);
  return [...keys].every((key) => one[key] === other[key]);
}
