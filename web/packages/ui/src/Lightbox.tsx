import { type KeyboardEvent, type ReactNode, useEffect, useRef, useState } from 'react';
import { Button } from './Button.js';
import { Icon } from './icons.js';
import { describe, formatBytes, formatDate, kindOf, type LibraryItem, nameOf } from './media.js';
import { Styles } from './Styles.js';

export interface LightboxProps {
  items: readonly LibraryItem[];
  /** The item shown; null keeps the lightbox closed. */
  path: string | null;
  onPathChange: (path: string | null) => void;
  onDelete?: ((path: string) => void) | undefined;
  /** False where a deletion can be undone. */
  askBeforeDelete?: boolean;
  /** More to show and do below the item. */
  actions?: ((item: LibraryItem) => ReactNode) | undefined;
  /** Shown above all else, as nothing outside of a dialog can be reached. */
  notice?: ReactNode;
}

/** One item, large, in a native dialog: arrows walk, Escape closes, focus returns where it was. */
export function Lightbox({
  items,
  path,
  onPathChange,
  onDelete,
  askBeforeDelete = true,
  actions,
  notice,
}: LightboxProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const index = items.findIndex((item) => item.path === path);
  const item = items[index];
  const shown = item !== undefined;
  useEffect(() => {
    if (!shown) return dialog.current?.close();
    dialog.current?.showModal();
    dialog.current?.focus();
  }, [shown]);

  const go = (step: number) => {
    const next = items[index + step];
    if (next) onPathChange(next.path);
  };
  const remove = (doomed: LibraryItem) => {
    onPathChange((items[index + 1] ?? items[index - 1])?.path ?? null);
    onDelete?.(doomed.path);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const target = event.target as Element;
    if (target.matches('video, input, select, textarea')) return;
    const forward = getComputedStyle(event.currentTarget).direction === 'rtl' ? -1 : 1;
    if (event.key === 'ArrowRight') go(forward);
    if (event.key === 'ArrowLeft') go(-forward);
    if (event.key === 'Delete' && item && onDelete && !askBeforeDelete) remove(item);
  };

  return (
    <dialog
      ref={dialog}
      className="pu pu-lightbox"
      tabIndex={-1}
      aria-label={item ? describe(item) : 'Preview'}
      onClose={() => onPathChange(null)}
      onKeyDown={onKeyDown}
    >
      <Styles />
      {item && (
        <div className="pu-lightbox-frame">
          <Bar
            key={item.path}
            item={item}
            ask={askBeforeDelete}
            onDelete={onDelete && (() => remove(item))}
            onClose={() => onPathChange(null)}
          />
          <div className="pu-stage">
            <Step to="previous" disabled={index === 0} onClick={() => go(-1)} />
            <Stage item={item} />
            <Step to="next" disabled={index === items.length - 1} onClick={() => go(1)} />
          </div>
          <Details item={item}>{actions?.(item)}</Details>
        </div>
      )}
      {notice}
    </dialog>
  );
}

interface BarProps {
  item: LibraryItem;
  ask: boolean;
  onDelete?: (() => void) | undefined;
  onClose: () => void;
}

function Bar({ item, ask, onDelete, onClose }: BarProps) {
  const [asked, setAsked] = useState(false);
  return (
    <div className="pu-lightbox-bar">
      <bdi className="pu-lightbox-title pu-name">{item.prompt ? '' : nameOf(item)}</bdi>
      <CopyButton text={item.url} />
      <a
        className="pu-button"
        data-look="quiet"
        data-icon=""
        href={item.url}
        download={nameOf(item)}
        aria-label="Download"
      >
        <Icon name="download" />
      </a>
      {onDelete && (
        <Button
          look={asked ? 'danger' : 'quiet'}
          icon="trash"
          aria-label={asked ? 'Press again to delete' : 'Delete'}
          onBlur={() => setAsked(false)}
          onClick={asked || !ask ? onDelete : () => setAsked(true)}
        >
          {asked && 'Delete?'}
        </Button>
      )}
      <Button look="quiet" icon="close" aria-label="Close" onClick={onClose} />
    </div>
  );
}

function CopyButton({ text }: { text: string }) {
  const [copied, setCopied] = useState(false);
  // Browsers give pages a clipboard only over https and on localhost.
  if (!navigator.clipboard) return null;
  const copy = () => navigator.clipboard.writeText(text).then(() => setCopied(true));
  return (
    <Button
      look="quiet"
      icon={copied ? 'check' : 'link'}
      aria-label={copied ? 'Address copied' : 'Copy address'}
      onClick={() => void copy()}
    />
  );
}

function Step({
  to,
  disabled,
  onClick,
}: {
  to: 'previous' | 'next';
  disabled: boolean;
  onClick: () => void;
}) {
  const label = to === 'next' ? 'Next' : 'Previous';
  return (
    <Button
      className="pu-step"
      data-to={to}
      icon={to}
      aria-label={label}
      disabled={disabled}
      onClick={onClick}
    />
  );
}

function Stage({ item }: { item: LibraryItem }) {
  const kind = kindOf(item);
  if (kind === 'image')
    return <img key={item.path} src={item.url} alt={item.alt || describe(item)} />;
  if (kind === 'video') {
    return (
      // biome-ignore lint/a11y/useMediaCaption: generated and uploaded videos come without captions
      <video
        key={item.path}
        src={item.url}
        poster={item.thumbnailUrl ?? undefined}
        controls
        autoPlay
        loop
        playsInline
      />
    );
  }
  return <p className="pu-note">No preview for this type. Download it to look inside.</p>;
}

function Details({ item, children }: { item: LibraryItem; children: ReactNode }) {
  const facts: [string, string | number | null | undefined | false][] = [
    ['Dimensions', item.width && item.height && `${item.width} × ${item.height}`],
    ['Length', item.duration && `${item.duration.toFixed(1)} s`],
    ['Size', item.size && formatBytes(item.size)],
    ['Type', item.contentType],
    ['Model', item.model],
    ['Seed', item.seed === null ? undefined : item.seed],
    ['Created', item.createdAt && formatDate(item.createdAt)],
  ];
  return (
    <div className="pu-details">
      {item.prompt && <p>{item.prompt}</p>}
      <dl>
        {facts.map(([term, value]) =>
          value === undefined || value === null || value === '' || value === false ? null : (
            <div key={term}>
              <dt>{term}</dt>
              <dd>{value}</dd>
            </div>
          ),
        )}
      </dl>
      {children}
    </div>
  );
}
