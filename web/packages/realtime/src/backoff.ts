export interface Backoff {
  base: number;
  cap: number;
  random: () => number;
}

/** Full jitter: anywhere between nothing and the doubled delay, so a crowd does not return at once. */
export function jitter(failures: number, { base, cap, random }: Backoff): number {
  return random() * Math.min(cap, base * 2 ** Math.max(0, failures - 1));
}

/** Wait `ms`, or until `wake` calls back, or until the signal aborts. Without `ms`, only those two. */
export function pause(
  ms: number | undefined,
  signal: AbortSignal,
  wake: (resume: () => void) => () => void,
): Promise<void> {
  return new Promise((resolve) => {
    const timer = ms === undefined ? undefined : setTimeout(finish, ms);
    const forget = wake(finish);
    signal.addEventListener('abort', finish, { once: true });
    if (signal.aborted) finish();
    function finish() {
      clearTimeout(timer);
      forget();
      signal.removeEventListener('abort', finish);
      resolve();
    }
  });
}
