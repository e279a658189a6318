import { type ReactNode, useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { flushSync } from 'react-dom';
import { Button } from './Button.js';
import type { Deliver } from './bin.js';
import { LibraryState } from './LibraryState.js';
import { Lightbox } from './Lightbox.js';
import { MediaGrid } from './MediaGrid.js';
import type { LibraryItem } from './media.js';
import { type Messages, MessagesContext, useMessages } from './messages.js';
import { SelectionBar } from './SelectionBar.js';
import { Styles } from './Styles.js';
import { UndoToast } from './UndoToast.js';
import { useBin } from './useBin.js';
import { useHeld } from './useHeld.js';
import { useSelection } from './useSelection.js';

export interface MediaLibraryProps<Item extends LibraryItem> {
  items: readonly Item[];
  /** Called when the time to undo is over. An answer that rejects brings the item back. */
  onDelete?: (path: string) => unknown;
  /** Instead of `onDelete` for each. May answer the paths that could not be deleted. */
  onDeleteMany?: (paths: readonly string[]) => unknown;
  /** How long a deletion can be undone, in milliseconds; 0 deletes at once. */
  undoMs?: number;
  /** Instead of the lightbox that opens by itself. */
  onOpen?: (item: Item) => void;
  /** Tiles can be selected where there is something to do with them. */
  onSelectionChange?: (paths: readonly string[]) => void;
  /** More to do with what is selected. */
  selectionActions?: (items: readonly Item[]) => ReactNode;
  /** More to show and do in the lightbox. */
  lightboxActions?: (item: Item) => ReactNode;
  loading?: boolean;
  /** One whose `status` is 401 or whose `code` is `network` has a face of its own. */
  error?: Error | string | null;
  onRetry?: () => void;
  hasMore?: boolean;
  loadingMore?: boolean;
  onLoadMore?: () => void;
  emptyState?: ReactNode;
  /** Lists longer than this keep only the tiles in the page that can be seen. */
  virtualizeFrom?: number;
  label?: string;
  messages?: Partial<Messages>;
  className?: string;
}

/** A grid of pictures, videos and files that opens, selects and deletes by pointer or keyboard. */
export function MediaLibrary<Item extends LibraryItem>(props: MediaLibraryProps<Item>) {
  const { items, loading = false, className = '' } = props;
  const words = useMessages(props.messages);
  const list = useRef<HTMLDivElement>(null);
  const { bin, state, visible } = useBin(items, useDeliver(props), props.undoMs ?? 6_000);
  const { shown, held, release } = useHeld(visible, list);
  const [openPath, setOpenPath] = useState<string | null>(null);
  const deletes = props.onDelete || props.onDeleteMany;
  const onDelete = deletes && bin.put;
  const toast = <UndoToast bin={bin} state={state} />;
  const showNewcomers = () => {
    flushSync(release);
    showTop(list.current);
  };
  const open = props.onOpen ?? ((item: Item) => setOpenPath(item.path));
  const lightboxOpen = openPath !== null && visible.some(({ path }) => path === openPath);

  return (
    <MessagesContext value={words}>
      <div ref={list} className={`pu pu-library ${className}`} aria-busy={loading}>
        <Styles />
        <LibraryState {...props} count={visible.length} />
        {held > 0 && <Newcomers count={held} onShow={showNewcomers} />}
        {shown.length > 0 && (
          <Selectable {...props} items={shown} open={open} onDelete={onDelete} />
        )}
        {props.hasMore && (
          <div className="pu-more">
            <Button onClick={props.onLoadMore} disabled={props.loadingMore}>
              {props.loadingMore ? words.loading : words.loadMore}
            </Button>
          </div>
        )}
        <Lightbox
          items={visible}
          path={openPath}
          onPathChange={setOpenPath}
          onDelete={onDelete && ((path) => onDelete([path]))}
          askBeforeDelete={props.undoMs === 0}
          actions={props.lightboxActions as ((item: LibraryItem) => ReactNode) | undefined}
          notice={lightboxOpen && toast}
        />
        {!lightboxOpen && toast}
      </div>
    </MessagesContext>
  );
}

interface SelectableProps<Item extends LibraryItem>
  extends Omit<MediaLibraryProps<Item>, 'onDelete'> {
  open: (item: Item) => void;
  onDelete: ((paths: readonly string[]) => void) | undefined;
}

function Selectable<Item extends LibraryItem>({
  items,
  open,
  onDelete,
  ...props
}: SelectableProps<Item>) {
  const { onSelectionChange, selectionActions } = props;
  const words = useMessages();
  const paths = useMemo(() => items.map(({ path }) => path), [items]);
  const selection = useSelection(paths, onSelectionChange);
  const selectable = onDelete || onSelectionChange || selectionActions;
  return (
    <>
      <MediaGrid
        items={items}
        paths={paths}
        label={props.label ?? words.library}
        virtualizeFrom={props.virtualizeFrom ?? 200}
        selection={selectable ? selection : undefined}
        onOpen={open}
        onDelete={onDelete}
      />
      {selection.paths.length > 0 && (
        <SelectionBar
          items={items}
          selection={selection}
          onDelete={onDelete}
          actions={selectionActions}
        />
      )}
    </>
  );
}

function Newcomers({ count, onShow }: { count: number; onShow: () => void }) {
  const words = useMessages();
  return (
    <div className="pu-fresh">
      <Button look="primary" icon="up" onClick={onShow}>
        {words.fresh(count)}
      </Button>
    </div>
  );
}

function showTop(list: HTMLElement | null) {
  list?.scrollIntoView({ block: 'start' });
  list?.querySelector<HTMLElement>('.pu-tile-open')?.focus({ preventScroll: true });
}

/** One way to delete many, whichever of the two was given. */
function useDeliver<Item extends LibraryItem>({
  onDelete,
  onDeleteMany,
}: MediaLibraryProps<Item>): Deliver {
  const latest = useRef({ onDelete, onDeleteMany });
  useEffect(() => {
    latest.current = { onDelete, onDeleteMany };
  });
  return useCallback(async (paths) => {
    const { onDelete, onDeleteMany } = latest.current;
    if (onDeleteMany) {
      const refused = await onDeleteMany(paths);
      return Array.isArray(refused) ? refused : [];
    }
    const answers = await Promise.allSettled(paths.map(async (path) => onDelete?.(path)));
    return paths.filter((_, index) => answers[index]?.status === 'rejected');
  }, []);
}
