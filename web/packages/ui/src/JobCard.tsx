import { useState } from 'react';
import { Button } from './Button.js';
import { Icon } from './icons.js';
import { kindOf, type LibraryItem } from './media.js';
import { type Messages, useMessages } from './messages.js';
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
  messages?: Partial<Messages>;
}

/** One job: what was asked, how far it is, the pictures so far, and what can be done about it. */
export function JobCard({ job, onDismiss, messages, ...actions }: JobCardProps) {
  const words = useMessages(messages);
  const prompt = titleOf(job, words);
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
              aria-label={words.dismiss}
              onClick={() => onDismiss(job.jobId)}
            />
          )}
        </div>
        <p className="pu-job-status" role={job.state === 'failed' ? 'alert' : undefined}>
          <span>{describeState(job, words)}</span>
          {open && job.progress !== null && <span>{words.percent(Math.floor(job.progress))}</span>}
        </p>
        {open && <Progress value={job.progress} label={words.progressOf(prompt)} />}
        <JobActions job={job} open={open} words={words} {...actions} />
      </div>
    </article>
  );
}

interface JobActionsProps extends Pick<JobCardProps, 'job' | 'onCancel' | 'onRetry' | 'onReuse'> {
  open: boolean;
  words: Messages;
}

function JobActions({ job, open, words, onCancel, onRetry, onReuse }: JobActionsProps) {
  const again = job.state === 'failed' || job.state === 'cancelled';
  return (
    <div className="pu-job-actions">
      {open && onCancel && <Action label={words.cancel} onClick={() => onCancel(job.jobId)} />}
      {again && onRetry && <Action label={words.retry} onClick={() => onRetry(job.jobId)} />}
      {!open && onReuse && <Action label={words.reuse} onClick={() => onReuse(job)} />}
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

function titleOf({ request, kind }: CardJob, words: Messages): string {
  const said = request?.prompt ?? request?.filename ?? request?.url;
  return typeof said === 'string' && said ? said : kind || words.job;
}

function describeState({ state, message, error }: CardJob, words: Messages): string {
  switch (state) {
    case 'queued':
      return message || words.queued;
    case 'running':
      return message || words.running;
    case 'succeeded':
      return words.done;
    case 'cancelled':
      return words.cancelled;
    case 'failed':
      return (
        (typeof error === 'string' ? error : (error?.error ?? error?.message ?? error?.detail)) ||
        words.failed
      );
  }
}
