/** Whether the browser says that there is no network; a service on this machine needs none. */
export function isOffline(): boolean {
  return globalThis.navigator?.onLine === false;
}

export const onOnline = (act: () => void) => listen('online', act);
export const onOffline = (act: () => void) => listen('offline', act);

function listen(change: 'online' | 'offline', act: () => void): () => void {
  globalThis.addEventListener?.(change, act);
  return () => globalThis.removeEventListener?.(change, act);
}
