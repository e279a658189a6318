import { jitter, pause } from './backoff.js';
import { readRetryAfter } from './errors.js';
import type { MediaEvent } from './events.js';
import { createFrameReader } from './frames.js';
import { isOffline } from './network.js';
import { createStore, type ReadableStore } from './store.js';
import type { Transport } from './transport.js';

export type StreamStatus = 'idle' | 'connecting' | 'open' | 'retrying' | 'offline' | 'unauthorized';

export type EventListener = (event: MediaEvent) => void;

export interface StreamOptions {
  /** Reconnect when nothing, not even a ping, was heard for this long. */
  silence?: number;
  maxDelay?: number;
  /** How long the connection outlives its last listener. */
  linger?: number;
  random?: () => number;
}

export interface EventStream {
  readonly status: ReadableStore<StreamStatus>;
  /** Hear every event. The first listener opens the connection, the last one closes it. */
  subscribe(listener: EventListener): () => void;
  /** Come back at once as whoever the headers now name; listeners hear `reset`. */
  reconnect(): void;
}

/** Follow `GET /events` for as long as someone listens, resuming where it broke. */
export function createEventStream(transport: Transport, options: StreamOptions = {}): EventStream {
  const { silence = 40_000, maxDelay = 30_000, linger = 1_000, random = Math.random } = options;
  const status = createStore<StreamStatus>('idle');
  const listeners = new Set<EventListener>();
  const wakers = new Set<() => void>();
  let position = '';
  let base = 1_000;
  let run: AbortController | undefined;
  let current: AbortController | undefined;
  let closing: ReturnType<typeof setTimeout> | undefined;
  let impatient = false;

  function emit(event: MediaEvent) {
    for (const listener of [...listeners]) {
      try {
        listener(event);
      } catch (error) {
        globalThis.reportError?.(error);
      }
    }
  }

  function createFeed(onSign: () => void) {
    return createFrameReader({
      onComment: onSign,
      onRetry: (ms) => {
        base = ms;
      },
      onEvent({ event, data, id }) {
        if (id !== undefined) position = id;
        const parsed = parse(data);
        if (!event || parsed === undefined) return;
        emit({ type: event, data: parsed, ...(id !== undefined && { id }) } as MediaEvent);
      },
    });
  }

  /** Read one connection to its end; the answer is how long to wait, undefined for the usual. */
  async function connect(attempt: AbortController): Promise<Ending> {
    let watchdog = setTimeout(() => attempt.abort(), silence);
    const heard = () => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => attempt.abort(), silence);
    };
    let healthy = false;
    try {
      const response = await transport.open('/events', {
        headers: {
          Accept: 'text/event-stream',
          ...(position && { 'Last-Event-ID': position }),
        },
        signal: attempt.signal,
      });
      if (!isStream(response)) return refuse(response);
      status.set('open');
      const feed = createFeed(heard);
      for await (const chunk of read(response)) {
        if (attempt.signal.aborted) break;
        healthy = true;
        heard();
        feed(chunk);
      }
      return { healthy };
    } catch {
      return { healthy };
    } finally {
      clearTimeout(watchdog);
      attempt.abort();
    }
  }

  async function follow(signal: AbortSignal) {
    let failures = 0;
    while (!signal.aborted) {
      if (status.get() !== 'unauthorized') status.set(failures ? 'retrying' : 'connecting');
      const ending = await connect(attach(signal));
      if (signal.aborted) return;
      failures = ending.healthy ? 0 : failures + 1;
      if (impatient) {
        impatient = false;
        continue;
      }
      status.set(ending.denied ? 'unauthorized' : isOffline() ? 'offline' : 'retrying');
      await pause(delay(ending, failures), signal, onWake);
    }
  }

  function delay(ending: Ending, failures: number): number | undefined {
    if (ending.denied) return transport.canRefresh() ? maxDelay : undefined;
    const wait = jitter(failures, { base, cap: maxDelay, random });
    return ending.retryAfter === undefined ? wait : ending.retryAfter + random() * base;
  }

  function attach(signal: AbortSignal): AbortController {
    const attempt = new AbortController();
    const stop = () => attempt.abort();
    signal.addEventListener('abort', stop, { once: true });
    attempt.signal.addEventListener('abort', () => signal.removeEventListener('abort', stop));
    current = attempt;
    return attempt;
  }

  function onWake(resume: () => void) {
    wakers.add(resume);
    return () => wakers.delete(resume);
  }

  function wake() {
    for (const resume of [...wakers]) resume();
  }

  function notice() {
    if (globalThis.document?.visibilityState !== 'hidden') wake();
  }

  // A stream over a network that has gone only falls silent; dropping it lets the page say so at once.
  function drop() {
    current?.abort();
  }

  function start() {
    clearTimeout(closing);
    if (run) return;
    run = new AbortController();
    globalThis.addEventListener?.('online', notice);
    globalThis.addEventListener?.('offline', drop);
    globalThis.document?.addEventListener('visibilitychange', notice);
    void follow(run.signal);
  }

  function stop() {
    run?.abort();
    run = undefined;
    globalThis.removeEventListener?.('online', notice);
    globalThis.removeEventListener?.('offline', drop);
    globalThis.document?.removeEventListener('visibilitychange', notice);
    status.set('idle');
  }

  function reconnect() {
    if (!run) return;
    if (listeners.size === 0) return stop();
    emit({ type: 'reset', data: {} });
    if (wakers.size > 0) return wake();
    impatient = true;
    current?.abort();
  }

  transport.onHandover(() => {
    position = '';
    reconnect();
  });

  return {
    status,
    subscribe(listener) {
      listeners.add(listener);
      start();
      return () => {
        listeners.delete(listener);
        clearTimeout(closing);
        if (listeners.size === 0) closing = setTimeout(stop, linger);
      };
    },
    reconnect,
  };
}

interface Ending {
  healthy: boolean;
  denied?: boolean;
  retryAfter?: number | undefined;
}

async function refuse(response: Response): Promise<Ending> {
  await response.body?.cancel().catch(() => undefined);
  const denied = response.status === 401 || response.status === 403;
  return { healthy: false, denied, retryAfter: readRetryAfter(response.headers) };
}

async function* read(response: Response): AsyncGenerator<string> {
  const reader = response.body?.getReader();
  const decoder = new TextDecoder();
  while (reader) {
    const { done, value } = await reader.read();
    if (done) return;
    yield decoder.decode(value, { stream: true });
  }
}

function isStream(response: Response): boolean {
  return response.ok && !!response.headers.get('content-type')?.startsWith('text/event-stream');
}

function parse(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    return undefined;
  }
}
