import { useEffect, useState } from 'react';
import { Button } from './Button.js';
import { Icon } from './icons.js';
import { formatBytes, kindOf } from './media.js';
import { Progress } from './Progress.js';
import type { QueueEntry } from './uploadQueue.js';

interface UploadRowProps {
  entry: QueueEntry;
  progress: number | null;
  onRetry: () => void;
  onRemove: () => void;
}

export function UploadRow({ entry, progress, onRetry, onRemove }: UploadRowProps) {
  const { file, status, error, retryable } = entry;
  const open = status === 'waiting' || status === 'sending';
  return (
    <li className="pu-row" data-status={status}>
      <FilePreview file={file} />
      <div className="pu-row-text">
        <div className="pu-row-line">
          <bdi className="pu-name">{file.name}</bdi>
          <span className="pu-note">{describeStatus(entry, progress)}</span>
        </div>
        {status === 'sending' && <Progress value={progress} label={`Uploading ${file.name}`} />}
        {error && <p className="pu-error">{error}</p>}
      </div>
      <div className="pu-row-actions">
        {status === 'failed' && retryable && (
          <Button look="quiet" icon="retry" aria-label={`Retry ${file.name}`} onClick={onRetry} />
        )}
        <Button
          look="quiet"
          icon="close"
          aria-label={`${open ? 'Cancel' : 'Remove'} ${file.name}`}
          onClick={onRemove}
        />
      </div>
    </li>
  );
}

function describeStatus({ file, status }: QueueEntry, progress: number | null): string {
  if (status === 'sending' && progress !== null)
    return `${progress} % of ${formatBytes(file.size)}`;
  if (status === 'waiting') return 'Waiting';
  return status === 'done' ? 'Uploaded' : formatBytes(file.size);
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
