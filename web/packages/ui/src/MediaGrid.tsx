// biome-ignore-all lint/a11y/useSemanticElements: a table cannot wrap its cells into as many columns as fit
// biome-ignore-all lint/a11y/useFocusableInteractive: the focus is on the button in a cell
import { type CSSProperties, type KeyboardEvent, type MouseEvent, useRef } from 'react';
import { MediaTile } from './MediaTile.js';
import type { LibraryItem } from './media.js';
import { useMessages } from './messages.js';
import { useRovingFocus } from './useRovingFocus.js';
import type { Selection } from './useSelection.js';
import { type GridWindow, useWindow } from './useWindow.js';

interface MediaGridProps<Item extends LibraryItem> {
  items: readonly Item[];
  paths: readonly string[];
  label: string;
  virtualizeFrom: number;
  selection: Selection | undefined;
  onOpen: (item: Item) => void;
  onDelete?: ((paths: readonly string[]) => void) | undefined;
}

/** Tiles in rows, as many as can be seen of a long list; one tab stop, walked by keys. */
export function MediaGrid<Item extends LibraryItem>({
  items,
  paths,
  label,
  virtualizeFrom,
  selection,
  onOpen,
  onDelete,
}: MediaGridProps<Item>) {
  const grid = useRef<HTMLDivElement>(null);
  const words = useMessages();
  const view = useWindow(grid, items.length, virtualizeFrom);
  const { active, activate, move, keepFocus } = useRovingFocus(grid, paths);

  const remove = (path: string) => {
    keepFocus();
    onDelete?.(selection?.has(path) ? selection.paths : [path]);
    selection?.clear();
  };
  const press = (index: number, item: Item, event: MouseEvent) => {
    if (selection && event.shiftKey) selection.extend(item.path, paths[active] ?? item.path);
    else if (selection && (event.ctrlKey || event.metaKey || selection.paths.length > 0))
      selection.toggle(item.path);
    else onOpen(item);
    activate(index);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const path = paths[active];
    if (path === undefined || !(event.target as Element).matches('.pu-tile-open')) return;
    const command = event.ctrlKey || event.metaKey;
    const to = command || event.altKey ? undefined : walk(event, active, items.length, view);
    if (to !== undefined) {
      if (event.shiftKey) selection?.extend(paths[clamp(to, items.length)] ?? path, path);
      move(to);
    } else if (event.key === ' ' && selection) selection.toggle(path);
    else if (command && event.key === 'a' && selection) selection.all();
    else if (event.key === 'Escape' && selection?.paths.length) selection.clear();
    else if (event.key === 'Delete' && onDelete) remove(path);
    else return;
    event.preventDefault();
  };

  return (
    <div
      ref={grid}
      className="pu-grid"
      role="grid"
      aria-label={label}
      aria-rowcount={items.length}
      aria-colcount={1}
      aria-multiselectable={selection ? true : undefined}
      data-selecting={selection?.paths.length ? '' : undefined}
      style={view.virtual ? frame(items.length, view) : undefined}
      onKeyDown={onKeyDown}
    >
      {indices(view, active, items.length).map((index) => {
        const item = items[index] as Item;
        return (
          <MediaTile
            key={item.path}
            item={item}
            words={words}
            row={index + 1}
            active={index === active}
            selected={selection ? selection.has(item.path) : undefined}
            style={isInside(index, view) ? undefined : place(index, view)}
            onPress={(event) => press(index, item, event)}
            onActivate={() => activate(index)}
            onSelect={selection && (() => selection.toggle(item.path))}
            onDelete={onDelete && (() => remove(item.path))}
          />
        );
      })}
    </div>
  );
}

/** What is seen, and the tab stop wherever it is, in the order of the list. */
function indices({ first, last }: GridWindow, active: number, count: number): number[] {
  const seen = Array.from({ length: last - first }, (_, nth) => first + nth);
  if (active >= count || count === 0) return seen;
  if (active < first) return [active, ...seen];
  return active >= last ? [...seen, active] : seen;
}

function isInside(index: number, { first, last }: GridWindow): boolean {
  return index >= first && index < last;
}

function frame(count: number, { first, columns, stride, tile }: GridWindow): CSSProperties {
  const rows = Math.ceil(count / columns);
  return {
    blockSize: stride ? (rows - 1) * stride + tile : undefined,
    paddingBlockStart: (first / columns) * stride,
  };
}

function place(index: number, { columns, stride, tile }: GridWindow): CSSProperties {
  return {
    position: 'absolute',
    insetBlockStart: Math.floor(index / columns) * stride,
    insetInlineStart: (index % columns) * stride,
    inlineSize: tile,
  };
}

function walk(event: KeyboardEvent, from: number, count: number, { columns, rows }: GridWindow) {
  const forward = getComputedStyle(event.currentTarget).direction === 'rtl' ? -1 : 1;
  const steps: Record<string, number> = {
    ArrowRight: forward,
    ArrowLeft: -forward,
    ArrowDown: columns,
    ArrowUp: -columns,
    PageDown: columns * rows,
    PageUp: -columns * rows,
    Home: -count,
    End: count,
  };
  const step = steps[event.key];
  return step === undefined ? undefined : clamp(from + step, count);
}

function clamp(index: number, count: number): number {
  return Math.min(count - 1, Math.max(0, index));
}
