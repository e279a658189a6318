import { jitter, pause } from './backoff.js';
import { aborted, ServiceError } from './errors.js';
import { isOffline, onOffline, onOnline } from './network.js';
import { describeAnswer, exchange, isOk, type PutOptions } from './put.js';

export interface ChunkOptions extends PutOptions {
  /** Bytes of one request; a multiple of 256 KiB. */
  chunkSize: number;
  /** Told when the network is waited for, and when that is over. */
  onWaiting?: (waiting: boolean) => void;
  /** How often in a row a try may bring storage no byte further. */
  patience?: number;
  /** Break a request off when nothing moved for this long. */
  stall?: number;
  random?: () => number;
}

const BASE = 1_000;
const CAP = 30_000;
const INCOMPLETE = 308;

/**
 * Send a file to a resumable session in chunks. After a break storage is asked how far it is, and the
 * file goes on from there; a network that is away is waited for; a cancelled session is deleted.
 */
export async function putChunks(options: ChunkOptions): Promise<void> {
  const { body, signal, onProgress, onWaiting, patience = 8, random = Math.random } = options;
  let seen = 0;
  let best = 0;
  let failures = 0;
  let held: number | undefined;

  function reach(loaded: number) {
    seen = Math.max(seen, loaded);
    onProgress(seen);
  }

  async function advance(from: number | undefined) {
    const now = await (from === undefined ? ask(options) : sendChunk(options, from, reach));
    if (from !== undefined && now <= from) throw stuck();
    if (now > best) failures = 0;
    best = Math.max(best, now);
    reach(now);
    return now;
  }

  async function rest(error: unknown) {
    const away = isOffline();
    if (!isPassing(error) || (!away && failures >= patience)) throw error;
    if (!away) failures += 1;
    if (away) onWaiting?.(true);
    await pause(away ? CAP : jitter(failures, { base: BASE, cap: CAP, random }), signal, onOnline);
    if (away) onWaiting?.(false);
  }

  while (held !== body.size) {
    try {
      held = await advance(held);
    } catch (error) {
      held = undefined;
      if (!signal.aborted) await rest(error);
      if (signal.aborted) throw withdraw(options.url);
    }
  }
}

/** How many bytes storage holds; all of them once the object is there. */
async function ask(options: ChunkOptions): Promise<number> {
  const range = `bytes */${options.body.size}`;
  return exchangeWatched(options, new Blob(), range, () => undefined);
}

async function sendChunk(options: ChunkOptions, from: number, reach: (loaded: number) => void) {
  const { body, chunkSize } = options;
  const to = Math.min(from + chunkSize, body.size);
  const range = `bytes ${from}-${to - 1}/${body.size}`;
  return exchangeWatched(options, body.slice(from, to), range, (loaded) => reach(from + loaded));
}

/** One request, broken off when it stalls or the network goes: such a request only falls silent. */
async function exchangeWatched(
  { url, headers, signal, stall = 60_000, body: file }: ChunkOptions,
  body: Blob,
  range: string,
  onProgress: (loaded: number) => void,
): Promise<number> {
  const attempt = new AbortController();
  const stop = () => attempt.abort();
  const forget = onOffline(stop);
  let watchdog = setTimeout(stop, stall);
  signal.addEventListener('abort', stop);
  if (signal.aborted) stop();
  try {
    const answer = await exchange({
      url,
      body,
      headers: { ...headers, 'Content-Range': range },
      signal: attempt.signal,
      onProgress(loaded) {
        clearTimeout(watchdog);
        watchdog = setTimeout(stop, stall);
        onProgress(loaded);
      },
    });
    return isOk(answer) ? file.size : readHeld(answer);
  } finally {
    clearTimeout(watchdog);
    forget();
    signal.removeEventListener('abort', stop);
  }
}

/** The bytes a session holds by its `Range: bytes=0-N`; without the header, none. */
function readHeld(answer: XMLHttpRequest): number {
  if (answer.status !== INCOMPLETE) throw describeAnswer(answer);
  const last = /^bytes=0-(\d+)$/.exec(answer.getResponseHeader('range') ?? '')?.[1];
  return last === undefined ? 0 : Number(last) + 1;
}

// An abort that nobody asked for is the watchdog's.
function isPassing(error: unknown): boolean {
  return error instanceof ServiceError && (error.retryable || error.code === 'aborted');
}

function stuck(): ServiceError {
  return new ServiceError('Storage does not take more of the file. Try again later.', {
    code: 'stalled',
    retryable: true,
  });
}

/** Tell storage that the rest will not come; it forgets a session by itself within a week. */
function withdraw(url: string): ServiceError {
  void fetch(url, { method: 'DELETE' }).catch(() => undefined);
  return aborted();
}
