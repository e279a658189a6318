import { useId, useMemo, useRef, useState, useSyncExternalStore } from 'react';
import { Icon } from './icons.js';
import { formatBytes } from './media.js';
import { Styles } from './Styles.js';
import { UploadRow } from './UploadRow.js';
import { createUploadQueue, refusal, type UploadedMedia, type UploadFile } from './uploadQueue.js';
import { useFileDrop } from './useFileDrop.js';

export interface MediaUploaderProps {
  upload: UploadFile;
  isUploading?: boolean;
  /** 0..100 over everything being sent; shown for a single file when `upload` tells no progress of its own. */
  progress?: number;
  onUploadComplete?: (media: UploadedMedia, file: File) => void;
  /** As the `accept` of a file input. */
  accept?: string;
  /** Bytes. */
  maxSize?: number;
  multiple?: boolean;
  disabled?: boolean;
  /** Where files may be dropped and pasted. */
  dropTarget?: 'self' | 'page';
  label?: string;
  className?: string;
}

/** Choose, drop or paste files; each is sent and shown on its own. */
export function MediaUploader({
  upload,
  isUploading = false,
  progress = 0,
  onUploadComplete,
  accept = 'image/*,video/*',
  maxSize = Number.POSITIVE_INFINITY,
  multiple = true,
  disabled = false,
  dropTarget = 'self',
  label = 'Choose files',
  className = '',
}: MediaUploaderProps) {
  const [queue] = useState(createUploadQueue);
  const entries = useSyncExternalStore(queue.subscribe, queue.get, queue.get);
  const input = useRef<HTMLInputElement>(null);
  const hint = useId();
  const actions = {
    upload,
    onComplete: onUploadComplete,
    refuse: (file: File) => refusal(file, accept, maxSize, formatBytes(maxSize)),
  };
  const add = (files: File[]) => queue.add(multiple ? files : files.slice(0, 1), actions);
  const page = dropTarget === 'page';
  const { isOver, handlers } = useFileDrop({ onFiles: add, page, disabled });
  const sending = entries.filter(({ status }) => status === 'sending');
  const shared = sending.length === 1 && isUploading ? progress : null;

  return (
    <section
      className={`pu pu-uploader ${className}`}
      aria-label="Upload"
      aria-busy={isUploading || sending.length > 0}
      data-over={isOver || undefined}
      {...handlers}
    >
      <Styles />
      <button
        type="button"
        className="pu-drop"
        disabled={disabled}
        aria-describedby={hint}
        onClick={() => input.current?.click()}
      >
        <Icon name="upload" />
        <strong>{label}</strong>
        <span id={hint}>or drop or paste them {page ? 'anywhere' : 'here'}</span>
      </button>
      <input
        ref={input}
        type="file"
        hidden
        accept={accept}
        multiple={multiple}
        disabled={disabled}
        onChange={({ target }) => {
          add([...(target.files ?? [])]);
          // The same file chosen again must fire a change again.
          target.value = '';
        }}
      />
      {isOver && page && <div className="pu-overlay">Drop to upload</div>}
      <ul className="pu-rows">
        {entries.map((entry) => (
          <UploadRow
            key={entry.id}
            entry={entry}
            progress={entry.progress ?? shared}
            onRetry={() => queue.retry(entry.id, actions)}
            onRemove={() => queue.remove(entry.id)}
          />
        ))}
      </ul>
      <Announcement entries={entries} />
    </section>
  );
}

/** One sentence for screen readers, said again only when the counts change. */
function Announcement({
  entries,
}: {
  entries: ReturnType<ReturnType<typeof createUploadQueue>['get']>;
}) {
  const count = (status: string) => entries.filter((entry) => entry.status === status).length;
  const [open, done, failed] = [
    count('waiting') + count('sending'),
    count('done'),
    count('failed'),
  ];
  const text = useMemo(() => {
    const parts = [
      open && `${open} uploading`,
      done && `${done} uploaded`,
      failed && `${failed} failed`,
    ];
    return parts.filter(Boolean).join(', ');
  }, [open, done, failed]);
  return (
    <p className="pu-sr" role="status">
      {text}
    </p>
  );
}
