import { type ReactNode, useState } from 'react';
import { Button } from './Button.js';
import { Lightbox } from './Lightbox.js';
import { MediaTile } from './MediaTile.js';
import type { LibraryItem } from './media.js';
import { Styles } from './Styles.js';
import { useRovingFocus } from './useRovingFocus.js';

export interface MediaLibraryProps<Item extends LibraryItem> {
  items: readonly Item[];
  onDelete?: (path: string) => void;
  /** Instead of the lightbox that opens by itself. */
  onOpen?: (item: Item) => void;
  loading?: boolean;
  error?: Error | string | null;
  onRetry?: () => void;
  hasMore?: boolean;
  loadingMore?: boolean;
  onLoadMore?: () => void;
  emptyState?: ReactNode;
  label?: string;
  className?: string;
}

/** A grid of pictures, videos and files that opens, walks and deletes by pointer or keyboard. */
export function MediaLibrary<Item extends LibraryItem>(props: MediaLibraryProps<Item>) {
  const { items, loading = false, error = null, className = '' } = props;
  return (
    <div className={`pu pu-library ${className}`} aria-busy={loading}>
      <Styles />
      {error && <Failure error={error} onRetry={props.onRetry} />}
      {items.length > 0 && <Grid {...props} />}
      {items.length === 0 && loading && <Skeleton />}
      {items.length === 0 && !loading && !error && (
        <div className="pu-state">{props.emptyState ?? 'Nothing here yet.'}</div>
      )}
      {props.hasMore && (
        <div className="pu-more">
          <Button onClick={props.onLoadMore} disabled={props.loadingMore}>
            {props.loadingMore ? 'Loading' : 'Load more'}
          </Button>
        </div>
      )}
    </div>
  );
}

function Grid<Item extends LibraryItem>({
  items,
  onDelete,
  onOpen,
  label,
}: MediaLibraryProps<Item>) {
  const [openPath, setOpenPath] = useState<string | null>(null);
  const { grid, active, activate, move, keepFocus } = useRovingFocus(items.map(({ path }) => path));
  const remove =
    onDelete &&
    ((path: string) => {
      keepFocus();
      onDelete(path);
    });
  const open = onOpen ?? ((item: Item) => setOpenPath(item.path));
  return (
    <>
      <ul ref={grid} className="pu-grid" aria-label={label ?? 'Library'}>
        {items.map((item, index) => (
          <MediaTile
            key={item.path}
            item={item}
            active={index === active}
            onOpen={() => open(item)}
            onActivate={() => activate(index)}
            onMove={move}
            onDelete={remove && (() => remove(item.path))}
          />
        ))}
      </ul>
      <Lightbox items={items} path={openPath} onPathChange={setOpenPath} onDelete={onDelete} />
    </>
  );
}

function Failure({
  error,
  onRetry,
}: {
  error: Error | string;
  onRetry?: (() => void) | undefined;
}) {
  return (
    <div className="pu-state" role="alert">
      <p className="pu-error">{typeof error === 'string' ? error : error.message}</p>
      {onRetry && (
        <Button icon="retry" onClick={onRetry}>
          Try again
        </Button>
      )}
    </div>
  );
}

function Skeleton() {
  return (
    <div className="pu-grid" role="status" aria-label="Loading">
      {['a', 'b', 'c', 'd', 'e', 'f'].map((key) => (
        <div key={key} className="pu-tile" data-skeleton="" />
      ))}
    </div>
  );
}
