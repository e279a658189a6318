import { useEffect, useState } from 'react';
import { Button } from './Button.js';
import { Icon } from './icons.js';
import { formatBytes, kindOf } from './media.js';
import { type Messages, useMessages } from './messages.js';
import { Progress } from './Progress.js';

/** What a row reads of an upload, of the uploader's own or of the dock's. */
export interface RowEntry {
  readonly file: File;
  readonly status: string;
  readonly error?: string | null;
  readonly retryable?: boolean;
}

interface UploadRowProps {
  entry: RowEntry;
  progress: number | null;
  onRetry: () => void;
  onRemove: () => void;
}

export function UploadRow({ entry, progress, onRetry, onRemove }: UploadRowProps) {
  const { file, status, error, retryable } = entry;
  const words = useMessages();
  const failed = status === 'failed' || status === 'cancelled';
  const open = !failed && !ENDED.includes(status);
  const moving = ['sending', 'completing', 'stalled'].includes(status);
  return (
    <li className="pu-row" data-status={status}>
      <FilePreview file={file} />
      <div className="pu-row-text">
        <div className="pu-row-line">
          <bdi className="pu-name">{file.name}</bdi>
          <span className="pu-note">{describeStatus(entry, progress, words)}</span>
        </div>
        {moving && <Progress value={progress} label={words.uploading(file.name)} />}
        {typeof error === 'string' && <p className="pu-error">{error || words.uploadFailed}</p>}
      </div>
      <div className="pu-row-actions">
        {failed && retryable && (
          <Button
            look="quiet"
            icon="retry"
            aria-label={words.retryOne(file.name)}
            onClick={onRetry}
          />
        )}
        <Button
          look="quiet"
          icon="close"
          aria-label={open ? words.cancelOne(file.name) : words.removeOne(file.name)}
          onClick={onRemove}
        />
      </div>
    </li>
  );
}

const ENDED = ['done', 'processing'];

function describeStatus(
  { file, status }: RowEntry,
  progress: number | null,
  words: Messages,
): string {
  const size = formatBytes(file.size);
  const share = progress === null ? size : words.percentOf(progress, size);
  switch (status) {
    case 'waiting':
      return words.waiting;
    case 'stalled':
      return `${words.waitingForNetwork}, ${share}`;
    case 'sending':
    case 'completing':
      return share;
    case 'processing':
      return words.checking;
    case 'done':
      return words.uploaded;
    default:
      return size;
  }
}

function FilePreview({ file }: { file: File }) {
  const [undecodable, setUndecodable] = useState(false);
  const kind = kindOf({ path: file.name, url: '', contentType: file.type });
  const url = useObjectUrl(kind === 'image' ? file : null);
  if (url && !undecodable) {
    return <img className="pu-thumb" src={url} alt="" onError={() => setUndecodable(true)} />;
  }
  return (
    <span className="pu-thumb">
      <Icon name={kind} />
    </span>
  );
}

function useObjectUrl(file: File | null): string | null {
  const [url, setUrl] = useState<string | null>(null);
  useEffect(() => {
    if (!file) return;
    const made = URL.createObjectURL(file);
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [file]);
  return url;
}
