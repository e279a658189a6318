import { useEffect, useMemo } from 'react';
import {
  createLibrary,
  type Library,
  type LibraryQuery,
  type LibraryState,
  type ServiceOptions,
} from './client.js';
import { useClient, useStore } from './useClient.js';

export interface MediaLibraryOptions extends ServiceOptions, LibraryQuery {}

export interface MediaLibraryView
  extends LibraryState,
    Pick<Library, 'refetch' | 'loadMore' | 'remove'> {
  isLoading: boolean;
}

/** The caller's media, newest first, with what appears and disappears elsewhere shown as it happens. */
export function useMediaLibrary(options: MediaLibraryOptions): MediaLibraryView {
  const client = useClient(options);
  const { prefix, kind, q, sort, limit } = options;
  const library = useMemo(
    () => createLibrary(client, { prefix, kind, q, sort, limit }),
    [client, prefix, kind, q, sort, limit],
  );
  useEffect(() => library.follow(), [library]);
  const state = useStore(library);
  const { refetch, loadMore, remove } = library;
  const isLoading = state.status === 'idle' || state.status === 'loading';
  return { ...state, isLoading, refetch, loadMore, remove };
}
