import { useEffect, useMemo } from 'react';
import {
  createLibrary,
  getImport,
  getProcess,
  type ImportUrl,
  type Library,
  type LibraryQuery,
  type LibraryState,
  type Process,
  type ServiceOptions,
} from './client.js';
import { useClient, useStore } from './useClient.js';

export interface MediaLibraryOptions extends ServiceOptions, LibraryQuery {}

export interface MediaLibraryView
  extends LibraryState,
    Omit<Library, 'get' | 'subscribe' | 'follow'> {
  isLoading: boolean;
  /** Make a new item of one. */
  process: Process;
  importUrl: ImportUrl;
}

/** The caller's media, newest first, with what appears and disappears elsewhere shown as it happens. */
export function useMediaLibrary(options: MediaLibraryOptions): MediaLibraryView {
  const client = useClient(options);
  const { prefix, kind, source, q, sort, limit } = options;
  const library = useMemo(
    () => createLibrary(client, { prefix, kind, source, q, sort, limit }),
    [client, prefix, kind, source, q, sort, limit],
  );
  useEffect(() => library.follow(), [library]);
  const { get, subscribe, follow, ...actions } = library;
  const state = useStore(library);
  const isLoading = state.status === 'idle' || state.status === 'loading';
  return {
    ...state,
    ...actions,
    isLoading,
    process: getProcess(client),
    importUrl: getImport(client),
  };
}
