import { type KeyboardEvent, useEffect, useState } from 'react';
import { Icon } from './icons.js';
import { describe, formatDuration, kindOf, type LibraryItem, nameOf } from './media.js';

interface MediaTileProps {
  item: LibraryItem;
  active: boolean;
  onOpen: () => void;
  onActivate: () => void;
  onMove: (event: KeyboardEvent) => void;
  onDelete?: (() => void) | undefined;
}

const ARMED_FOR = 4_000;

export function MediaTile({ item, active, onOpen, onActivate, onMove, onDelete }: MediaTileProps) {
  const { armed, press, disarm } = useArmed(onDelete);
  const name = nameOf(item);
  return (
    <li className="pu-tile" onBlur={disarm}>
      <button
        type="button"
        className="pu-tile-open"
        tabIndex={active ? 0 : -1}
        aria-label={`Open ${describe(item)}`}
        aria-keyshortcuts={onDelete ? 'Delete' : undefined}
        onClick={onOpen}
        onFocus={onActivate}
        onKeyDown={(event) => {
          if (event.key === 'Delete' && onDelete) press();
          else if (event.key === 'Escape') disarm();
          else onMove(event);
        }}
      >
        <Visual item={item} />
      </button>
      {onDelete && (
        <button
          type="button"
          className="pu-tile-delete"
          tabIndex={active ? 0 : -1}
          data-armed={armed || undefined}
          aria-label={armed ? `Press again to delete ${name}` : `Delete ${name}`}
          onClick={press}
        >
          <Icon name="trash" />
          {armed && 'Delete?'}
        </button>
      )}
      <span className="pu-sr" role="status">
        {armed && `Press again to delete ${name}`}
      </span>
    </li>
  );
}

/** The first press asks, the second one within a moment does. */
function useArmed(action: (() => void) | undefined) {
  const [armed, setArmed] = useState(false);
  useEffect(() => {
    if (!armed) return;
    const timer = setTimeout(() => setArmed(false), ARMED_FOR);
    return () => clearTimeout(timer);
  }, [armed]);
  const press = () => {
    setArmed(!armed);
    if (armed) action?.();
  };
  return { armed, press, disarm: () => setArmed(false) };
}

function Visual({ item }: { item: LibraryItem }) {
  const [broken, setBroken] = useState(false);
  const kind = kindOf(item);
  if (broken || kind === 'file') return <FileFace item={item} />;
  const onError = () => setBroken(true);
  return (
    <>
      {kind === 'image' || item.thumbnailUrl ? (
        <img
          src={item.thumbnailUrl ?? item.url}
          alt={describe(item)}
          width={item.width ?? undefined}
          height={item.height ?? undefined}
          loading="lazy"
          decoding="async"
          onError={onError}
        />
      ) : (
        <video src={item.url} muted playsInline preload="metadata" onError={onError} />
      )}
      {kind === 'video' && (
        <span className="pu-badge">
          <Icon name="play" />
          {item.duration ? formatDuration(item.duration) : 'Video'}
        </span>
      )}
    </>
  );
}

function FileFace({ item }: { item: LibraryItem }) {
  return (
    <span className="pu-tile-file">
      <Icon name={kindOf(item)} />
      <bdi>{nameOf(item)}</bdi>
    </span>
  );
}
