import { useState } from 'react';
import { Button } from './Button.js';
import { Icon } from './icons.js';
import { kindOf, type LibraryItem } from './media.js';
import { Progress } from './Progress.js';
import { Styles } from './Styles.js';

/** What a card reads of a job. */
export interface CardJob {
  jobId: string;
  kind: string;
  state: 'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled';
  progress: number | null;
  message?: string | null;
  previews?: readonly string[];
  request?: Record<string, unknown> | null;
  result?: { items?: readonly LibraryItem[] } | null;
  error?: string | { error?: string; message?: string; detail?: string } | null;
}

export interface JobCardProps {
  job: CardJob;
  onCancel?: (jobId: string) => void;
  onRetry?: (jobId: string) => void;
  /** Bring the request back into the composer. */
  onReuse?: (job: CardJob) => void;
  onDismiss?: (jobId: string) => void;
}

/** One job: what was asked, how far it is, the pictures so far, and what can be done about it. */
export function JobCard({ job, onDismiss, ...actions }: JobCardProps) {
  const prompt = titleOf(job);
  const open = job.state === 'queued' || job.state === 'running';
  return (
    <article className="pu pu-job" data-state={job.state} aria-label={prompt}>
      <Styles />
      <JobMedia job={job} />
      <div className="pu-job-body">
        <div className="pu-job-head">
          <p className="pu-job-prompt">{prompt}</p>
          {!open && onDismiss && (
            <Button
              look="quiet"
              icon="close"
              aria-label="Dismiss"
              onClick={() => onDismiss(job.jobId)}
            />
          )}
        </div>
        <p className="pu-job-status" role={job.state === 'failed' ? 'alert' : undefined}>
          <span>{describeState(job)}</span>
          {open && job.progress !== null && <span>{Math.floor(job.progress)} %</span>}
        </p>
        {open && <Progress value={job.progress} label={`Progress of ${prompt}`} />}
        <JobActions job={job} open={open} {...actions} />
      </div>
    </article>
  );
}

function JobActions({ job, open, onCancel, onRetry, onReuse }: JobCardProps & { open: boolean }) {
  const again = job.state === 'failed' || job.state === 'cancelled';
  return (
    <div className="pu-job-actions">
      {open && onCancel && <Action label="Cancel" onClick={() => onCancel(job.jobId)} />}
      {again && onRetry && <Action label="Retry" onClick={() => onRetry(job.jobId)} />}
      {!open && onReuse && <Action label="Edit and rerun" onClick={() => onReuse(job)} />}
    </div>
  );
}

function Action({ label, onClick }: { label: string; onClick: () => void }) {
  return (
    <Button look="quiet" onClick={onClick}>
      {label}
    </Button>
  );
}

function JobMedia({ job }: { job: CardJob }) {
  const done = job.result?.items ?? [];
  const previews = (job.previews ?? []).filter(Boolean);
  const count = done.length || previews.length;
  return (
    <div className="pu-job-media" data-many={count > 1 ? '' : undefined}>
      {done.slice(0, 4).map((item) => (
        <Finished key={item.path} item={item} />
      ))}
      {done.length === 0 &&
        previews.slice(0, 4).map((url, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the index names the output, its picture changes
          <Preview key={index} url={url} />
        ))}
      {count === 0 && (
        <span>
          <Icon
            name={job.state === 'failed' ? 'alert' : /video/.test(job.kind) ? 'video' : 'image'}
          />
        </span>
      )}
    </div>
  );
}

/** A partial picture; the service clears them away when the job has ended. */
function Preview({ url }: { url: string }) {
  const [gone, setGone] = useState<string | null>(null);
  return gone === url ? (
    <span />
  ) : (
    <img src={url} alt="" data-preview="" onError={() => setGone(url)} />
  );
}

function Finished({ item }: { item: LibraryItem }) {
  if (kindOf(item) === 'video' && !item.thumbnailUrl) {
    return <video src={item.url} muted playsInline preload="metadata" />;
  }
  return <img src={item.thumbnailUrl ?? item.url} alt="" />;
}

function titleOf({ request, kind }: CardJob): string {
  const said = request?.prompt ?? request?.filename ?? request?.url;
  return typeof said === 'string' && said ? said : kind || 'Job';
}

function describeState({ state, message, error }: CardJob): string {
  switch (state) {
    case 'queued':
      return message || 'Queued';
    case 'running':
      return message || 'Running';
    case 'succeeded':
      return 'Done';
    case 'cancelled':
      return 'Cancelled';
    case 'failed':
      return (
        (typeof error === 'string' ? error : (error?.error ?? error?.message ?? error?.detail)) ||
        'Failed.'
      );
  }
}
