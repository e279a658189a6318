import { useEffect, useMemo, useRef, useState, useSyncExternalStore } from 'react';
import { type Bin, type BinState, createBin, type Deliver } from './bin.js';
import type { LibraryItem } from './media.js';

export interface BinView<Item> {
  bin: Bin;
  state: BinState;
  /** What is left to see. */
  visible: readonly Item[];
}

/** Items without those in the bin; what is still in it when the page or the component goes is deleted then. */
export function useBin<Item extends LibraryItem>(
  items: readonly Item[],
  deliver: Deliver,
  after: number,
): BinView<Item> {
  const latest = useRef({ deliver, after });
  useEffect(() => {
    latest.current = { deliver, after };
  });
  const [bin] = useState(() => createBin(() => latest.current));
  const state = useSyncExternalStore(bin.subscribe, bin.get, bin.get);
  useEffect(() => {
    addEventListener('pagehide', bin.flush);
    return () => {
      removeEventListener('pagehide', bin.flush);
      bin.flush();
    };
  }, [bin]);
  useEffect(() => {
    if (bin.get().sent.size > 0) bin.settle(new Set(items.map(({ path }) => path)));
  }, [bin, items]);
  const visible = useMemo(() => {
    const hidden = new Set([...state.pending, ...state.sent]);
    return hidden.size === 0 ? items : items.filter(({ path }) => !hidden.has(path));
  }, [items, state]);
  return { bin, state, visible };
}
