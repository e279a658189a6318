import { useCallback, useEffect, useMemo } from 'react';
import {
  getJobs,
  type JobsState,
  type LiveJob,
  type LoadStatus,
  type RetryOptions,
  type ServiceOptions,
} from './client.js';
import { useClient, useStore } from './useClient.js';

export interface JobView {
  job: LiveJob | undefined;
  cancel: () => Promise<void>;
  retry: (options?: RetryOptions) => Promise<{ jobId: string }>;
}

export interface JobsView {
  /** Newest first. */
  jobs: readonly LiveJob[];
  status: LoadStatus;
  error: Error | null;
  cancel: (jobId: string) => Promise<void>;
  retry: (jobId: string, options?: RetryOptions) => Promise<{ jobId: string }>;
  refetch: () => Promise<void>;
}

/** One job, live. */
export function useJob(jobId: string | null | undefined, options: ServiceOptions): JobView {
  const jobs = getJobs(useClient(options));
  useEffect(() => (jobId ? jobs.watch(jobId) : undefined), [jobs, jobId]);
  const { jobs: known } = useStore(jobs);
  const cancel = useCallback(() => jobs.cancel(jobId ?? ''), [jobs, jobId]);
  const retry = useCallback(
    (options?: RetryOptions) => jobs.retry(jobId ?? '', options),
    [jobs, jobId],
  );
  return { job: jobId ? known.get(jobId) : undefined, cancel, retry };
}

/** All of the caller's jobs, live. */
export function useJobs(options: ServiceOptions): JobsView {
  const jobs = getJobs(useClient(options));
  useEffect(() => jobs.follow(), [jobs]);
  const state = useStore(jobs);
  const sorted = useMemo(() => newestFirst(state), [state]);
  const { cancel, retry, load: refetch } = jobs;
  return { jobs: sorted, status: state.status, error: state.error, cancel, retry, refetch };
}

function newestFirst({ jobs }: JobsState): LiveJob[] {
  return [...jobs.values()].sort((a, b) => begunAt(b) - begunAt(a));
}

function begunAt({ createdAt }: LiveJob): number {
  return Date.parse(createdAt) || Number.MAX_SAFE_INTEGER;
}
