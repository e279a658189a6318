import { useLayoutEffect, useMemo, useSyncExternalStore } from 'react';
import { getClient, type MediaClient, type ServiceOptions } from './client.js';
import type { ReadableStore } from './store.js';

/** The shared client of these options; new headers take effect without a new connection of its own. */
export function useClient({ apiPrefix, serviceName, headers }: ServiceOptions): MediaClient {
  // biome-ignore lint/correctness/useExhaustiveDependencies: the headers follow in the effect below
  const client = useMemo(
    () => getClient({ apiPrefix, serviceName, headers }),
    [apiPrefix, serviceName],
  );
  useLayoutEffect(() => client.setHeaders(headers), [client, headers]);
  return client;
}

export function useStore<T>(store: ReadableStore<T>): T {
  return useSyncExternalStore(store.subscribe, store.get, store.get);
}
