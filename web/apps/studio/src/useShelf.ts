import type { MediaKind, MediaSource } from '@project/realtime';
import { useEffect, useState } from 'react';

/** What of the library is shown; it stands in the page's address, so that it can be shared and gone back to. */
export interface ShelfView {
  kind: MediaKind | '';
  source: MediaSource | '';
  sort: '' | 'oldest' | 'largest';
  q: string;
}

const NAMES = ['kind', 'source', 'sort', 'q'] as const;

export function useShelf(): [ShelfView, (part: Partial<ShelfView>) => void] {
  const [view, setView] = useState(read);
  useEffect(() => {
    const back = () => setView(read());
    addEventListener('popstate', back);
    return () => removeEventListener('popstate', back);
  }, []);
  const change = (part: Partial<ShelfView>) => {
    const next = { ...view, ...part };
    setView(next);
    write(next, 'q' in part);
  };
  return [view, change];
}

function read(): ShelfView {
  const search = new URLSearchParams(location.search);
  return Object.fromEntries(NAMES.map((name) => [name, search.get(name) ?? ''])) as never;
}

/** Words replace the last step of the history, so that Back does not go letter by letter. */
function write(view: ShelfView, replace: boolean) {
  const search = new URLSearchParams(location.search);
  for (const name of NAMES) {
    if (view[name]) search.set(name, view[name]);
    else search.delete(name);
  }
  const address = search.size ? `?${search}` : location.pathname;
  history[replace ? 'replaceState' : 'pushState'](null, '', address);
}
