import { createLibrary, getClient, type ServiceOptions } from '@project/realtime';
import { useEffect, useMemo, useSyncExternalStore } from 'react';
import type { ShelfView } from './useShelf.js';

const PAGE = 60;

/** The items of one view of the shelf, live. */
export function useLibrary(service: ServiceOptions, { kind, source, sort, q }: ShelfView) {
  const library = useMemo(() => {
    // Said even where it is the default, so that the client asks anew instead of sorting newcomers in itself.
    const order = source && !sort ? 'newest' : sort || undefined;
    const query = { kind: kind || undefined, source, sort: order, q: q || undefined, limit: PAGE };
    return createLibrary(getClient(service), query as object);
  }, [service, kind, source, sort, q]);
  useEffect(() => library.follow(), [library]);
  const state = useSyncExternalStore(library.subscribe, library.get, library.get);
  return { ...library, ...state, isLoading: state.status === 'idle' || state.status === 'loading' };
}
