import { type RefObject, useEffect, useLayoutEffect, useState } from 'react';

/** Which tiles of a grid of equal squares are worth having in the page. */
export interface GridWindow {
  first: number;
  last: number;
  columns: number;
  /** From one row to the next, in pixels. */
  stride: number;
  tile: number;
  /** Rows that fit on the screen. */
  rows: number;
}

const OVERSCAN = 2;
/** What a server renders, and a browser before it has measured. */
const FIRST = 12;

/** Follow what part of the grid is on the screen; everything is, for a list shorter than `from`. */
export function useWindow(
  grid: RefObject<HTMLElement | null>,
  count: number,
  from: number,
): GridWindow & { virtual: boolean } {
  const virtual = count > from;
  const [measured, setMeasured] = useState<GridWindow | null>(null);
  useIsomorphicLayoutEffect(() => {
    const element = grid.current;
    if (!element) return;
    const measure = () => setMeasured((before) => keep(before, measureWindow(element)));
    measure();
    const stop = new AbortController();
    const options = { capture: true, passive: true, signal: stop.signal };
    if (virtual) addEventListener('scroll', measure, options);
    addEventListener('resize', measure, options);
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => {
      stop.abort();
      observer.disconnect();
    };
  }, [grid, virtual]);
  const known = measured ?? { first: 0, last: FIRST, columns: 1, stride: 0, tile: 0, rows: 3 };
  if (!virtual) return { ...known, first: 0, last: count, virtual };
  const last = Math.min(count, known.last);
  return { ...known, first: Math.min(known.first, Math.max(0, last - 1)), last, virtual };
}

function measureWindow(grid: HTMLElement): GridWindow {
  const style = getComputedStyle(grid);
  const widths = style.gridTemplateColumns.split(' ').map(Number.parseFloat);
  const columns = Math.max(1, widths.length);
  const tile = widths[0] || 1;
  const stride = tile + (Number.parseFloat(style.rowGap) || 0);
  const top = grid.getBoundingClientRect().top;
  const rows = Math.max(1, Math.floor(innerHeight / stride));
  const from = Math.max(0, Math.floor(-top / stride) - OVERSCAN);
  const to = Math.max(0, Math.ceil((innerHeight - top) / stride)) + OVERSCAN;
  return { first: from * columns, last: to * columns, columns, stride, tile, rows };
}

function keep(before: GridWindow | null, now: GridWindow): GridWindow {
  const same =
    before && (Object.keys(now) as (keyof GridWindow)[]).every((k) => before[k] === now[k]);
  return same ? before : now;
}

const useIsomorphicLayoutEffect = typeof document === 'undefined' ? useEffect : useLayoutEffect;
