import { type KeyboardEvent, type ReactNode, useEffect, useRef, useState } from 'react';
import { Button } from './Button.js';
import { Icon } from './icons.js';
import { describe, formatBytes, formatDate, kindOf, type LibraryItem, nameOf } from './media.js';
import { type Messages, MessagesContext, useMessages } from './messages.js';
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
  messages?: Partial<Messages>;
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
  messages,
}: LightboxProps) {
  const words = useMessages(messages);
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
    if (target.matches('video,input,select,textarea')) return;
    const forward = getComputedStyle(event.currentTarget).direction === 'rtl' ? -1 : 1;
    if (event.key === 'ArrowRight') go(forward);
    if (event.key === 'ArrowLeft') go(-forward);
    if (event.key === 'Delete' && item && onDelete && !askBeforeDelete) remove(item);
  };

  return (
    <MessagesContext value={words}>
      <dialog
        ref={dialog}
        className="pu pu-lightbox"
        tabIndex={-1}
        aria-label={item ? describe(item) : words.preview}
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
    </MessagesContext>
  );
}

interface BarProps {
  item: LibraryItem;
  ask: boolean;
  onDelete?: (() => void) | undefined;
  onClose: () => void;
}

function Bar({ item, ask, onDelete, onClose }: BarProps) {
  const words = useMessages();
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
        aria-label={words.download}
      >
        <Icon name="download" />
      </a>
      {onDelete && (
        <Button
          look={asked ? 'danger' : 'quiet'}
          icon="trash"
          aria-label={asked ? words.deleteAgain : words.delete}
          onBlur={() => setAsked(false)}
          onClick={asked || !ask ? onDelete : () => setAsked(true)}
        >
          {asked && words.deleteAsk}
        </Button>
      )}
      <Button look="quiet" icon="close" aria-label={words.close} onClick={onClose} />
    </div>
  );
}

function CopyButton({ text }: { text: string }) {
  const words = useMessages();
  const [copied, setCopied] = useState(false);
  // Browsers give pages a clipboard only over https and on localhost.
  if (!navigator.clipboard) return null;
  const copy = () => navigator.clipboard.writeText(text).then(() => setCopied(true));
  return (
    <Button
      look="quiet"
      icon={copied ? 'check' : 'link'}
      aria-label={copied ? words.addressCopied : words.copyAddress}
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
  const words = useMessages();
  return (
    <Button
      className="pu-step"
      data-to={to}
      icon={to}
      aria-label={words[to]}
      disabled={disabled}
      onClick={onClick}
    />
  );
}

function Stage({ item }: { item: LibraryItem }) {
  const words = useMessages();
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
  return <p className="pu-note">{words.noPreview}</p>;
}

function Details({ item, children }: { item: LibraryItem; children: ReactNode }) {
  const words = useMessages();
  const facts: [string, string | number | null | undefined | false][] = [
    [words.dimensions, item.width && item.height && `${item.width} × ${item.height}`],
    [words.length, item.duration && words.seconds(Math.round(item.duration * 10) / 10)],
    [words.size, item.size && formatBytes(item.size)],
    [words.type, item.contentType],
    [words.model, item.model],
    [words.seed, item.seed === null ? undefined : item.seed],
    [words.created, item.createdAt && formatDate(item.createdAt)],
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
