import { type RefObject, useEffect, useState } from 'react';
import type { LibraryItem } from './media.js';

/**
 * Keep newcomers at the head out of a list that has been scrolled past its top, so that nothing under
 * the eye moves; they are counted instead, and shown once the top is in view again.
 */
export function useHeld<Item extends LibraryItem>(
  items: readonly Item[],
  list: RefObject<HTMLElement | null>,
) {
  const [known, setKnown] = useState<ReadonlySet<string> | null>(null);
  useEffect(() => {
    const look = () => {
      const past = (list.current?.getBoundingClientRect().top ?? 0) < 0;
      setKnown((before) => {
        if (past === (before !== null)) return before;
        return past ? new Set(items.map(({ path }) => path)) : null;
      });
    };
    addEventListener('scroll', look, { capture: true, passive: true });
    return () => removeEventListener('scroll', look, { capture: true });
  }, [items, list]);
  const held = known
    ? Math.max(
        0,
        items.findIndex(({ path }) => known.has(path)),
      )
    : 0;
  return {
    shown: held > 0 ? items.slice(held) : items,
    held,
    release: () => setKnown(null),
  };
}
