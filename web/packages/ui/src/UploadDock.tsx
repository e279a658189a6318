import { useEffect, useState } from 'react';
import { Button } from './Button.js';
import { type Messages, MessagesContext, useMessages } from './messages.js';
import { Progress } from './Progress.js';
import { Styles } from './Styles.js';
import { type RowEntry, UploadRow } from './UploadRow.js';
import { useTimeLeft } from './useTimeLeft.js';

/** What the dock reads of an upload, as `useMediaUpload().uploads` gives it. */
export interface DockEntry {
  readonly id: string;
  readonly file: File;
  readonly status: string;
  /** Bytes. */
  readonly loaded: number;
  /** 0..100. */
  readonly progress: number;
  readonly error?: { message: string; retryable?: boolean } | null;
}

export interface UploadDockProps {
  uploads: readonly DockEntry[];
  onCancel: (id: string) => void;
  onRetry: (id: string) => unknown;
  onRemove: (id: string) => void;
  messages?: Partial<Messages>;
}

const LINGER = 5_000;
const IDLE = ['complete', 'failed', 'cancelled', 'processing'];
/** The client's words for a state, in those of a row. */
const ROW_STATUS: Record<string, string> = {
  queued: 'waiting',
  starting: 'waiting',
  waiting: 'stalled',
  complete: 'done',
};

/** Everything on its way to storage, in a corner of the page, whichever part of the page sent it. */
export function UploadDock({ uploads, onCancel, onRetry, onRemove, messages }: UploadDockProps) {
  const words = useMessages(messages);
  const [folded, setFolded] = useState(false);
  useFading(uploads, onRemove);
  const count = (...statuses: string[]) =>
    uploads.filter(({ status }) => statuses.includes(status)).length;
  const open = uploads.filter(({ status }) => !IDLE.includes(status));
  const summary = words.uploadSummary(
    open.length,
    count('complete', 'processing'),
    count('failed', 'cancelled'),
  );
  const left = useTimeLeft(uploads);
  return (
    <MessagesContext value={words}>
      <p className="pu-sr" role="status">
        {summary}
      </p>
      {uploads.length > 0 && (
        <section
          className="pu pu-float pu-dock"
          aria-label={words.uploads}
          data-folded={folded || undefined}
        >
          <Styles />
          <header>
            <strong>{summary}</strong>
            <span className="pu-note">{left === null ? '' : words.secondsLeft(left)}</span>
            <Button
              look="quiet"
              icon={folded ? 'unfold' : 'fold'}
              aria-label={folded ? words.unfold : words.fold}
              aria-expanded={!folded}
              onClick={() => setFolded(!folded)}
            />
          </header>
          {open.length > 0 && <Progress value={share(uploads)} label={words.uploads} />}
          {!folded && (
            <ul className="pu-rows">
              {failuresFirst(uploads).map((entry) => (
                <UploadRow
                  key={entry.id}
                  entry={toRow(entry)}
                  progress={entry.progress}
                  onRetry={() => void onRetry(entry.id)}
                  onRemove={() => (open.includes(entry) ? onCancel : onRemove)(entry.id)}
                />
              ))}
            </ul>
          )}
        </section>
      )}
    </MessagesContext>
  );
}

/** What is done leaves a moment later. */
function useFading(uploads: readonly DockEntry[], onRemove: (id: string) => void) {
  const done = uploads.filter(({ status }) => status === 'complete').map(({ id }) => id);
  const ids = done.join(' ');
  useEffect(() => {
    if (!ids) return;
    const timer = setTimeout(() => ids.split(' ').forEach(onRemove), LINGER);
    return () => clearTimeout(timer);
  }, [ids, onRemove]);
}

function share(uploads: readonly DockEntry[]): number {
  const counted = uploads.filter(({ status }) => status !== 'failed' && status !== 'cancelled');
  const total = counted.reduce((sum, { file }) => sum + (file.size || 1), 0);
  const sent = counted.reduce((sum, { file, progress }) => sum + (file.size || 1) * progress, 0);
  return total ? Math.floor(sent / total) : 0;
}

function failuresFirst(uploads: readonly DockEntry[]): readonly DockEntry[] {
  const failed = ({ status }: DockEntry) => status === 'failed' || status === 'cancelled';
  return [...uploads.filter(failed), ...uploads.filter((entry) => !failed(entry))];
}

function toRow({ file, status, error }: DockEntry): RowEntry {
  const retryable = status === 'cancelled' || error?.retryable !== false;
  const message = status === 'failed' ? error?.message : null;
  return { file, status: ROW_STATUS[status] ?? status, error: message ?? null, retryable };
}
