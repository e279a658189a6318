import { type RefObject, useLayoutEffect, useRef, useState } from 'react';

/** One tab stop for a grid, kept on its item when others come; whoever had the focus keeps it. */
export function useRovingFocus(grid: RefObject<HTMLElement | null>, keys: readonly string[]) {
  const [last, setLast] = useState({ key: '', index: 0 });
  const wanted = useRef(false);
  const count = keys.length;
  const found = keys.indexOf(last.key);
  const active = found >= 0 ? found : Math.min(last.index, Math.max(0, count - 1));

  useLayoutEffect(() => {
    if (!wanted.current) return;
    wanted.current = false;
    grid.current?.querySelector<HTMLElement>('[tabindex="0"]')?.focus();
  });

  const activate = (index: number) => {
    const key = keys[index] ?? '';
    if (key !== last.key || index !== last.index) setLast({ key, index });
  };
  return {
    active,
    activate,
    move(index: number) {
      wanted.current = true;
      activate(Math.min(count - 1, Math.max(0, index)));
    },
    /** Let the next tile take the focus of the one about to leave. */
    keepFocus() {
      wanted.current = !!grid.current?.contains(document.activeElement);
    },
  };
}
