import { type KeyboardEvent, useLayoutEffect, useRef, useState } from 'react';

/** One tab stop for a grid of tiles, kept on its tile when others come; arrow keys go between them. */
export function useRovingFocus(keys: readonly string[]) {
  const grid = useRef<HTMLUListElement>(null);
  const [last, setLast] = useState({ key: '', index: 0 });
  const handOver = useRef(false);
  const count = keys.length;
  const found = keys.indexOf(last.key);
  const active = found >= 0 ? found : Math.min(last.index, Math.max(0, count - 1));

  function activate(index: number) {
    setLast({ key: keys[index] ?? '', index });
  }

  function move(event: KeyboardEvent) {
    const next = target(event.key, active, count, grid.current);
    if (next === undefined) return;
    event.preventDefault();
    activate(next);
    tiles(grid.current)[next]?.focus();
  }

  // biome-ignore lint/correctness/useExhaustiveDependencies: only a change of count can take the focus away
  useLayoutEffect(() => {
    const lost = handOver.current && !grid.current?.contains(document.activeElement);
    handOver.current = false;
    if (lost) tiles(grid.current)[active]?.focus();
  }, [count]);

  return {
    grid,
    active,
    activate,
    move,
    /** Let the next tile take the focus of the one about to leave. */
    keepFocus() {
      handOver.current = !!grid.current?.contains(document.activeElement);
    },
  };
}

function target(key: string, from: number, count: number, grid: HTMLElement | null) {
  const forward = grid && getComputedStyle(grid).direction === 'rtl' ? -1 : 1;
  const row = columns(grid);
  const steps: Record<string, number> = {
    ArrowRight: forward,
    ArrowLeft: -forward,
    ArrowDown: row,
    ArrowUp: -row,
    PageDown: row * 3,
    PageUp: -row * 3,
    Home: -count,
    End: count,
  };
  const step = steps[key];
  return step === undefined ? undefined : Math.min(count - 1, Math.max(0, from + step));
}

function tiles(grid: HTMLElement | null): HTMLElement[] {
  return [...(grid?.querySelectorAll<HTMLElement>('.pu-tile-open') ?? [])];
}

function columns(grid: HTMLElement | null): number {
  const tops = tiles(grid).map((tile) => tile.getBoundingClientRect().top);
  return Math.max(1, tops.filter((top) => top === tops[0]).length);
}
