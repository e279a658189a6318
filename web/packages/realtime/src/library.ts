import type { MediaClient } from './connection.js';
import type {
  MediaChange,
  MediaDeletion,
  MediaFilter,
  MediaItem,
  MediaPage,
  MediaSource,
} from './contract.js';
import type { ServiceError } from './errors.js';
import type { MediaEvent } from './events.js';
import type { LoadStatus } from './jobs.js';
import { changeItem, removeItem, removeItems, removeMatching } from './media.js';
import { createStore, type ReadableStore } from './store.js';

export interface LibraryQuery extends MediaFilter {
  source?: MediaSource;
  sort?: 'newest' | 'oldest' | 'largest';
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
  /** The same for many in one request; what could not be deleted comes back and is in `failed`. */
  removeMany(paths: readonly string[]): Promise<MediaDeletion>;
  /** Delete all that a listing with this filter would show, also what was never read here. */
  removeMatching(filter: MediaFilter): Promise<MediaDeletion>;
  /** Change name or alt text, at once here; taken back if the service refuses. */
  update(path: string, change: MediaChange): Promise<MediaItem>;
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

  const remaining = (items: readonly MediaItem[]) => items.filter(({ path }) => !removed.has(path));

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
      if (mine === reading) show(remaining(page.items), page);
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
      if (mine === reading) show(union(state.get().items, remaining(page.items)), page);
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
    const all = union(remaining(items), state.get().items);
    change({ items: all.sort(ORDER[query.sort ?? 'newest']) });
  }

  /** Show what an event brought, if that alone tells that it belongs here. */
  function appear(items: readonly MediaItem[]) {
    if (isPlain(query) && state.get().status === 'ready') insert(items);
    else void refreshHead();
  }

  function drop(paths: Iterable<string>) {
    const gone = new Set(paths);
    change({ items: state.get().items.filter(({ path }) => !gone.has(path)) });
  }

  function hear(event: MediaEvent) {
    switch (event.type) {
      case 'ready':
      case 'reset':
        return void refetch();
      case 'generation_complete':
        return appear(event.data.result.items);
      case 'upload_complete':
      case 'process_complete':
        return appear([event.data.result.item]);
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

  /** Show the items as gone while the service is asked; those it left, or all if it fails, come back. */
  async function take(paths: readonly string[], ask: () => Promise<readonly string[]>) {
    const before = state.get().items;
    for (const path of paths) removed.add(path);
    drop(paths);
    try {
      restore(await ask(), before);
    } catch (error) {
      if ((error as ServiceError).code !== 'aborted') restore(paths, before);
      throw error;
    }
  }

  /** Put items back where they stood; what was never shown is not shown now. */
  function restore(paths: readonly string[], before: readonly MediaItem[]) {
    if (paths.length === 0) return;
    for (const path of paths) removed.delete(path);
    const back = new Set(paths);
    change({ items: weave(state.get().items, before, back).sort(ORDER[query.sort ?? 'newest']) });
  }

  function replace(path: string, next: (item: MediaItem) => MediaItem) {
    const { items } = state.get();
    change({ items: items.map((item) => (item.path === path ? next(item) : item)) });
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
      await take([path], async () => {
        await removeItem(transport, path);
        return [];
      });
    },
    async removeMany(paths) {
      let answer: MediaDeletion = { deleted: [], failed: [], more: false };
      await take(paths, async () => {
        answer = await removeItems(transport, paths);
        return answer.failed.map(({ path }) => path);
      });
      return answer;
    },
    async removeMatching(filter) {
      const answer = await removeMatching(transport, filter);
      drop(answer.deleted);
      return answer;
    },
    async update(path, wanted) {
      const before = state.get().items.find((item) => item.path === path);
      replace(path, (item) => ({ ...item, ...wanted, name: wanted.name ?? item.name }));
      try {
        const item = await changeItem(transport, path, wanted);
        replace(path, () => item);
        return item;
      } catch (error) {
        if (before) replace(path, () => before);
        throw error;
      }
    },
  };
}

type Comparison = (one: MediaItem, other: MediaItem) => number;

const byAge: Comparison = (one, other) =>
  Date.parse(one.createdAt) - Date.parse(other.createdAt) || 0;

const ORDER: Record<NonNullable<LibraryQuery['sort']>, Comparison> = {
  newest: (one, other) => byAge(other, one),
  oldest: byAge,
  largest: (one, other) => other.size - one.size,
};

function isPlain({ prefix, kind, source, q, sort = 'newest' }: LibraryQuery): boolean {
  return !prefix && !kind && !source && !q && sort === 'newest';
}

/** Both lists, each path once; a later telling of an item replaces the earlier in its place. */
function union(head: readonly MediaItem[], tail: readonly MediaItem[]): MediaItem[] {
  const seen = new Set(tail.map(({ path }) => path));
  const fresh = new Map(head.map((item) => [item.path, item]));
  const kept = tail.map((item) => fresh.get(item.path) ?? item);
  return [...head.filter(({ path }) => !seen.has(path)), ...kept];
}

/** The items with those that are back, each before the one that it stood before. */
function weave(
  items: readonly MediaItem[],
  before: readonly MediaItem[],
  back: ReadonlySet<string>,
): MediaItem[] {
  const ahead = new Map<string, MediaItem[]>();
  const shown = new Set(items.map(({ path }) => path));
  let waiting: MediaItem[] = [];
  for (const item of before) {
    if (shown.has(item.path)) {
      ahead.set(item.path, waiting);
      waiting = [];
    } else if (back.has(item.path)) waiting.push(item);
  }
  return [...items.flatMap((item) => [...(ahead.get(item.path) ?? []), item]), ...waiting];
}
