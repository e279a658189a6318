// biome-ignore-all lint/a11y/useSemanticElements: a table cannot wrap its cells into as many columns as fit
// biome-ignore-all lint/a11y/useFocusableInteractive: the focus is on the button in a cell
import {
  type CSSProperties,
  type FocusEvent,
  type MouseEvent,
  memo,
  useEffect,
  useRef,
  useState,
} from 'react';
import { Icon } from './icons.js';
import { describe, formatDuration, kindOf, type LibraryItem, nameOf, tintOf } from './media.js';
import type { Messages } from './messages.js';

interface MediaTileProps {
  item: LibraryItem;
  words: Messages;
  row: number;
  active: boolean;
  /** Undefined where nothing can be selected. */
  selected: boolean | undefined;
  style?: CSSProperties | undefined;
  onPress: (event: MouseEvent) => void;
  onActivate: () => void;
  onSelect?: (() => void) | undefined;
  onDelete?: (() => void) | undefined;
}

const HOLD = 450;
const PREVIEW_AFTER = 150;

export function MediaTile({ item, words, active, selected, ...props }: MediaTileProps) {
  const { row, style, onPress, onActivate, onSelect, onDelete } = props;
  const hold = useHold(onSelect);
  const preview = usePreview(kindOf(item) === 'video');
  const name = nameOf(item);
  const badge = badgeOf(item, words);
  const tabIndex = active ? 0 : -1;
  return (
    <div className="pu-row-of-one" role="row" aria-rowindex={row} style={style}>
      <div className="pu-tile" role="gridcell" aria-selected={selected} {...preview.handlers}>
        <button
          type="button"
          className="pu-tile-open"
          tabIndex={tabIndex}
          // Says all that can be read on it, for those who speak to their computer.
          aria-label={words.open([describe(item), badge].filter(Boolean).join(', '))}
          aria-keyshortcuts={onDelete ? 'Delete' : undefined}
          onClick={(event) => !hold.swallow() && onPress(event)}
          onFocus={onActivate}
          {...hold.handlers}
        >
          <Visual item={item} badge={badge} playing={preview.playing} />
        </button>
        {onSelect && (
          <button
            type="button"
            className="pu-tile-select"
            aria-pressed={selected}
            tabIndex={tabIndex}
            aria-label={words.select(name)}
            onClick={onSelect}
          >
            <Icon name="check" />
          </button>
        )}
        {onDelete && (
          <button
            type="button"
            className="pu-tile-delete"
            tabIndex={tabIndex}
            aria-label={words.deleteOne(name)}
            onClick={onDelete}
          >
            <Icon name="trash" />
          </button>
        )}
      </div>
    </div>
  );
}

/** A long press of a finger selects; the click that follows it does nothing more. */
function useHold(action: (() => void) | undefined) {
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const held = useRef(false);
  const stop = () => clearTimeout(timer.current);
  useEffect(() => () => clearTimeout(timer.current), []);
  return {
    swallow() {
      const was = held.current;
      held.current = false;
      return was;
    },
    handlers: action && {
      onPointerDown({ pointerType }: { pointerType: string }) {
        held.current = false;
        if (pointerType !== 'touch') return;
        timer.current = setTimeout(() => {
          held.current = true;
          action();
        }, HOLD);
      },
      onPointerUp: stop,
      onPointerCancel: stop,
      onPointerLeave: stop,
    },
  };
}

/** A video plays, muted, while it is pointed at or focused, unless the reader wants no motion or no data. */
function usePreview(isVideo: boolean) {
  const [wanted, setWanted] = useState(false);
  const [playing, setPlaying] = useState(false);
  useEffect(() => {
    if (!wanted) return setPlaying(false);
    const timer = setTimeout(() => setPlaying(mayPlay()), PREVIEW_AFTER);
    return () => clearTimeout(timer);
  }, [wanted]);
  const start = () => setWanted(true);
  const stop = (event: FocusEvent | unknown) => {
    const { currentTarget, relatedTarget } = event as FocusEvent;
    if (!(relatedTarget instanceof Node && currentTarget.contains(relatedTarget))) setWanted(false);
  };
  const handlers = isVideo
    ? { onPointerEnter: start, onPointerLeave: stop, onFocus: start, onBlur: stop }
    : {};
  return { playing, handlers };
}

function mayPlay(): boolean {
  const { connection } = navigator as { connection?: { saveData?: boolean } };
  return !connection?.saveData && !matchMedia('(prefers-reduced-motion: reduce)').matches;
}

interface VisualProps {
  item: LibraryItem;
  badge: string | undefined;
  playing: boolean;
}

const Visual = memo(function Visual({ item, badge, playing }: VisualProps) {
  const [broken, setBroken] = useState(false);
  const kind = kindOf(item);
  if (broken || kind === 'file') return <FileFace item={item} />;
  const onError = () => setBroken(true);
  const style = { backgroundColor: tintOf(item) };
  return (
    <>
      {kind === 'image' || (item.thumbnailUrl && !playing) ? (
        <img
          src={item.thumbnailUrl ?? item.url}
          srcSet={
            item.thumbnails?.map(({ url, width }) => `${url} ${width}w`).join(', ') || undefined
          }
          sizes="200px"
          alt={item.alt || describe(item)}
          width={item.width ?? undefined}
          height={item.height ?? undefined}
          loading="lazy"
          decoding="async"
          style={style}
          onError={onError}
        />
      ) : (
        <video
          src={item.url}
          poster={item.thumbnailUrl ?? undefined}
          muted
          loop
          playsInline
          autoPlay={playing}
          preload="metadata"
          style={style}
          onError={onError}
        />
      )}
      {badge && (
        <span className="pu-badge">
          <Icon name="play" />
          {badge}
        </span>
      )}
    </>
  );
});

function FileFace({ item }: { item: LibraryItem }) {
  return (
    <span className="pu-tile-file">
      <Icon name={kindOf(item)} />
      <bdi>{describe(item)}</bdi>
    </span>
  );
}

function badgeOf(item: LibraryItem, words: Messages): string | undefined {
  if (kindOf(item) !== 'video') return undefined;
  return item.duration ? formatDuration(item.duration) : words.video;
}
