import type { MediaClient } from './connection.js';
import type { MediaEvent, MediaItem, MediaKind, MediaPage } from './contract.js';
import type { ServiceError } from './errors.js';
import type { LoadStatus } from './jobs.js';
import { createStore, type ReadableStore } from './store.js';

export interface LibraryQuery {
  prefix?: string;
  kind?: MediaKind;
  q?: string;
  sort?: string;
  limit?: number;
}

export interface LibraryState {
  readonly items: readonly MediaItem[];
  readonly status: LoadStatus;
  readonly isLoadingMore: boolean;
  readonly hasMore: boolean;
  readonly error: Error | null;
}

export interface Library extends ReadableStore<LibraryState> {
  /** Read the first page and keep it live until the answer is called. */
  follow(): () => void;
  refetch(): Promise<void>;
  loadMore(): Promise<void>;
  /** Take the item away at once; it comes back where it was if the service refuses. */
  remove(path: string): Promise<void>;
}

const EMPTY: LibraryState = {
  items: [],
  status: 'idle',
  isLoadingMore: false,
  hasMore: false,
  error: null,
};

/** A view of the caller's media that stays true while it is followed. */
export function createLibrary(
  { transport, events }: MediaClient,
  query: LibraryQuery = {},
): Library {
  const state = createStore<LibraryState>(EMPTY);
  const removed = new Set<string>();
  let cursor: string | null = null;
  let reading = 0;

  const change = (next: Partial<LibraryState>) => state.set({ ...state.get(), ...next });

  function read(after?: string | null): Promise<MediaPage> {
    const search = new URLSearchParams();
    for (const [name, value] of Object.entries({ ...query, cursor: after })) {
      if (value !== undefined && value !== null && value !== '') search.set(name, String(value));
    }
    return transport.send('GET', search.size ? `/media?${search}` : '/media');
  }

  const present = (items: readonly MediaItem[]) => items.filter(({ path }) => !removed.has(path));

  function show(items: readonly MediaItem[], page: MediaPage) {
    cursor = page.nextCursor ?? null;
    change({ items, hasMore: cursor !== null, status: 'ready', isLoadingMore: false, error: null });
  }

  async function refetch() {
    reading += 1;
    const mine = reading;
    if (state.get().status !== 'ready') change({ status: 'loading', error: null });
    try {
      const page = await read();
      if (mine === reading) show(present(page.items), page);
    } catch (error) {
      if (mine === reading) change({ status: 'error', error: error as Error });
    }
  }

  async function loadMore() {
    if (!cursor || state.get().isLoadingMore) return;
    const mine = reading;
    change({ isLoadingMore: true });
    try {
      const page = await read(cursor);
      if (mine === reading) show(union(state.get().items, present(page.items)), page);
    } catch (error) {
      if (mine === reading) change({ error: error as Error });
    } finally {
      change({ isLoadingMore: false });
    }
  }

  /** Put what is new on the first page before the rest, without losing the pages already read. */
  async function refreshHead() {
    if (state.get().status !== 'ready') return refetch();
    const mine = reading;
    const page = await read().catch(() => undefined);
    if (page && mine === reading) insert(page.items);
  }

  function insert(items: readonly MediaItem[]) {
    const all = union(present(items), state.get().items);
    change({ items: query.sort ? all : all.sort(newestFirst) });
  }

  function drop(paths: readonly string[]) {
    change({ items: state.get().items.filter(({ path }) => !paths.includes(path)) });
  }

  function hear(event: MediaEvent) {
    switch (event.type) {
      case 'ready':
      case 'reset':
        return void refetch();
      case 'generation_complete':
        return isPlain(query) ? insert(event.data.result.items) : void refreshHead();
      case 'upload_complete':
      case 'process_complete':
        return void refreshHead();
      case 'media_deleted':
        return drop(event.data.paths);
    }
  }

  function forget() {
    reading += 1;
    cursor = null;
    removed.clear();
    state.set(EMPTY);
  }

  function restore(item: MediaItem, index: number) {
    removed.delete(item.path);
    const items = state.get().items.filter(({ path }) => path !== item.path);
    change({ items: items.toSpliced(Math.min(index, items.length), 0, item) });
  }

  return {
    get: state.get,
    subscribe: state.subscribe,
    refetch,
    loadMore,
    follow() {
      const stops = [events.subscribe(hear), transport.onHandover(forget)];
      void refetch();
      return () => {
        for (const stop of stops) stop();
      };
    },
    async remove(path) {
      const index = state.get().items.findIndex((item) => item.path === path);
      const item = state.get().items[index];
      removed.add(path);
      drop([path]);
      try {
        await transport.send(
          'DELETE',
          `/media/${path.split('/').map(encodeURIComponent).join('/')}`,
        );
      } catch (error) {
        const { status, code } = error as ServiceError;
        if (status === 404) return;
        if (item && code !== 'aborted') restore(item, index);
        throw error;
      }
    },
  };
}

function isPlain({ prefix, kind, q, sort }: LibraryQuery): boolean {
  return !prefix && !kind && !q && !sort;
}

function newestFirst(one: MediaItem, other: MediaItem): number {
  return Date.parse(other.createdAt) - Date.parse(one.createdAt) || 0;
}

/** Both lists, each path once; a later telling of an item replaces the earlier in its place. */
function union(head: readonly MediaItem[], tail: readonly MediaItem[]): MediaItem[] {
  const seen = new Set(tail.map(({ path }) => path));
  const fresh = new Map(head.map((item) => [item.path, item]));
  const kept = tail.map((item) => fresh.get(item.path) ?? item);
  return [...head.filter(({ path }) => !seen.has(path)), ...kept];
}
