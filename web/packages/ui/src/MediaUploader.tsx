import {
  type ComponentProps,
  type ReactNode,
  useId,
  useRef,
  useState,
  useSyncExternalStore,
} from 'react';
import { Button } from './Button.js';
import { isHidden } from './droppedFiles.js';
import { Icon, type IconName } from './icons.js';
import { formatBytes } from './media.js';
import { type Messages, MessagesContext, useMessages } from './messages.js';
import { Styles } from './Styles.js';
import { UploadRow } from './UploadRow.js';
import {
  createUploadQueue,
  isAccepted,
  type UploadedMedia,
  type UploadFile,
} from './uploadQueue.js';
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
  /** Offer to choose a whole folder. Dropped folders are always taken. */
  directory?: boolean;
  /** Offer the camera, on devices held in a hand. */
  capture?: 'user' | 'environment';
  disabled?: boolean;
  /** Where files may be dropped and pasted. */
  dropTarget?: 'self' | 'page';
  /** `refused` lists only what is not sent; the rest is shown elsewhere, as by `UploadDock`, and handed over at once. */
  rows?: 'all' | 'refused';
  label?: string;
  messages?: Partial<Messages>;
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
  directory = false,
  capture,
  disabled = false,
  dropTarget = 'self',
  rows = 'all',
  label,
  messages,
  className = '',
}: MediaUploaderProps) {
  const words = useMessages(messages);
  const [queue] = useState(() => createUploadQueue(rows === 'all' ? 3 : Number.POSITIVE_INFINITY));
  const entries = useSyncExternalStore(queue.subscribe, queue.get, queue.get);
  const hint = useId();
  const actions = {
    upload,
    onComplete: onUploadComplete,
    refuse(file: File) {
      if (!isAccepted(file, accept)) return words.notAccepted(file.type);
      return file.size > maxSize ? words.tooLarge(formatBytes(maxSize)) : null;
    },
  };
  const add = (files: File[]) => {
    if (files.length > 0) queue.add(multiple ? files : files.slice(0, 1), actions);
  };
  const page = dropTarget === 'page';
  const { over, handlers } = useFileDrop({ onFiles: add, page, disabled });
  const sending = entries.filter(({ status }) => status === 'sending');
  const shared = sending.length === 1 && isUploading ? progress : null;
  const shown = rows === 'all' ? entries : entries.filter(({ refused }) => refused);
  const count = (...wanted: string[]) =>
    shown.filter(({ status }) => wanted.includes(status)).length;

  return (
    <MessagesContext value={words}>
      <section
        className={`pu pu-uploader ${className}`}
        aria-label={words.upload}
        aria-busy={isUploading || sending.length > 0}
        data-over={over ? '' : undefined}
        {...handlers}
      >
        <Styles />
        <div className="pu-ways">
          <Chooser
            className="pu-drop"
            hint={hint}
            onFiles={add}
            {...{ accept, multiple, disabled }}
          >
            <Icon name="upload" />
            <strong>{label ?? words.chooseFiles}</strong>
            <span id={hint}>{page ? words.dropAnywhere : words.dropHere}</span>
          </Chooser>
          {directory && (
            <Way
              icon="folder"
              label={words.chooseFolder}
              onFiles={add}
              disabled={disabled}
              folder
            />
          )}
          {capture && (
            <Way
              icon="camera"
              label={words.takePhoto}
              onFiles={add}
              {...{ accept, capture, disabled }}
            />
          )}
        </div>
        {over && page && <Overlay types={over} accept={accept} />}
        <ul className="pu-rows">
          {shown.map((entry) => (
            <UploadRow
              key={entry.id}
              entry={entry}
              progress={entry.progress ?? shared}
              onRetry={() => queue.retry(entry.id, actions)}
              onRemove={() => queue.remove(entry.id)}
            />
          ))}
        </ul>
        <p className="pu-sr" role="status">
          {words.uploadSummary(count('waiting', 'sending'), count('done'), count('failed'))}
        </p>
      </section>
    </MessagesContext>
  );
}

interface ChooserProps extends Pick<ComponentProps<'input'>, 'accept' | 'multiple' | 'capture'> {
  onFiles: (files: File[]) => void;
  disabled: boolean;
  folder?: boolean;
}

/** A button in front of a file input. */
function Chooser({
  className,
  hint,
  children,
  ...input
}: ChooserProps & { className: string; hint: string; children: ReactNode }) {
  const { open, field } = useChooser(input);
  return (
    <>
      <button
        type="button"
        className={className}
        disabled={input.disabled}
        aria-describedby={hint}
        onClick={open}
      >
        {children}
      </button>
      {field}
    </>
  );
}

function Way({ icon, label, ...input }: ChooserProps & { icon: IconName; label: string }) {
  const { open, field } = useChooser(input);
  return (
    <>
      <Button
        className="pu-way"
        data-capture={input.capture ? '' : undefined}
        icon={icon}
        aria-label={label}
        title={label}
        disabled={input.disabled}
        onClick={open}
      />
      {field}
    </>
  );
}

function useChooser({ onFiles, folder = false, ...input }: ChooserProps) {
  const ref = useRef<HTMLInputElement>(null);
  const field = (
    <input
      ref={ref}
      type="file"
      hidden
      {...input}
      // React knows the attribute by no other way.
      {...(folder && { webkitdirectory: '' })}
      onChange={({ target }) => {
        const files = [...(target.files ?? [])];
        onFiles(folder ? files.filter((file) => !isHidden(file)) : files);
        // The same file chosen again must fire a change again.
        target.value = '';
      }}
    />
  );
  return { field, open: () => ref.current?.click() };
}

function Overlay({ types, accept }: { types: readonly string[]; accept: string }) {
  const words = useMessages();
  const unfit = types.filter((type) => type && !isAccepted({ name: '', type }, accept)).length;
  return (
    <div className="pu-overlay">
      <span>{words.dropNow}</span>
      {types.length > 0 && <small>{words.dropCount(types.length - unfit, unfit)}</small>}
    </div>
  );
}
