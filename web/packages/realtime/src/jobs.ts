import { type MediaClient, perClient } from './connection.js';
import type { Job, JobPage, JobRef, JobState } from './contract.js';
import type { ServiceError } from './errors.js';
import type { MediaEvent } from './events.js';
import { getOrder } from './order.js';
import { createStore, type ReadableStore } from './store.js';

/** A job as the page knows it: the service's own record, with the partial pictures seen so far. */
export interface LiveJob extends Job {
  previews: readonly string[];
}

export interface RetryOptions {
  /** Pay again, should the first try be charged too. */
  acceptCharge?: boolean;
}

export type LoadStatus = 'idle' | 'loading' | 'ready' | 'error';

export interface JobsState {
  readonly jobs: ReadonlyMap<string, LiveJob>;
  readonly status: LoadStatus;
  readonly error: Error | null;
}

export interface Jobs extends ReadableStore<JobsState> {
  /** Follow all jobs: read them once, then keep them true by events. Ends with the answer's call. */
  follow(): () => void;
  /** Follow one job. */
  watch(jobId: string): () => void;
  load(): Promise<void>;
  cancel(jobId: string): Promise<void>;
  /**
   * Make a new job of one that has ended. `may_be_charged` is the refusal of a job whose first try may
   * cost already; ask the user, then retry with `acceptCharge`.
   */
  retry(jobId: string, options?: RetryOptions): Promise<JobRef>;
  /** Show a job that was just asked for, before the service tells of it. */
  expect(jobId: string, known?: Partial<Job>): void;
}

const EMPTY: JobsState = { jobs: new Map(), status: 'idle', error: null };
/** How long the service may take to know of a job that it has just accepted. */
const PATIENCE = 5_000;

/** The client's one view of the caller's jobs. */
export const getJobs = /* @__PURE__ */ perClient(createJobs);

export function createJobs(client: MediaClient): Jobs {
  const { transport, events } = client;
  const state = createStore<JobsState>(EMPTY);
  const asked = new Set<string>();
  const unconfirmed = new Set<string>();
  let followers = 0;
  let watchers = 0;
  let unsubscribe: (() => void) | undefined;

  function keep(incoming: readonly Job[]) {
    const jobs = new Map(state.get().jobs);
    for (const job of incoming) {
      unconfirmed.delete(job.jobId);
      jobs.set(job.jobId, mergeJob(jobs.get(job.jobId), job));
    }
    state.set({ ...state.get(), jobs });
  }

  function put(job: LiveJob) {
    state.set({ ...state.get(), jobs: new Map(state.get().jobs).set(job.jobId, job) });
  }

  async function load() {
    if (state.get().status === 'idle') state.set({ ...state.get(), status: 'loading' });
    try {
      keep((await transport.send<JobPage>('GET', '/jobs')).jobs);
      state.set({ ...state.get(), status: 'ready', error: null });
    } catch (error) {
      if ((error as ServiceError).code === 'aborted') return;
      state.set({ ...state.get(), status: 'error', error: error as Error });
    }
  }

  async function ask(jobId: string) {
    if (asked.has(jobId)) return;
    asked.add(jobId);
    const job = await transport.send<Job>('GET', `/jobs/${jobId}`).catch((error: ServiceError) => {
      if (error.status === 404) lose(jobId);
    });
    asked.delete(jobId);
    if (job) keep([job]);
  }

  /** The service knows no such job; one that it has only just accepted is asked for once more. */
  function lose(jobId: string) {
    const jobs = new Map(state.get().jobs);
    if (unconfirmed.delete(jobId)) setTimeout(askAgain, PATIENCE, jobId);
    else if (jobs.delete(jobId)) state.set({ ...state.get(), jobs });
  }

  function askAgain(jobId: string) {
    if (state.get().jobs.has(jobId)) void ask(jobId);
  }

  function expect(jobId: string, known?: Partial<Job>) {
    if (state.get().jobs.has(jobId)) return;
    unconfirmed.add(jobId);
    put(createJob(jobId, known));
  }

  function refresh() {
    if (followers > 0) void load();
    for (const job of state.get().jobs.values()) if (!isEnded(job.state)) void ask(job.jobId);
  }

  function hear(event: MediaEvent) {
    if (event.type === 'reset' || event.type === 'ready') return refresh();
    if (!('jobId' in event.data)) return;
    const { jobId } = event.data;
    unconfirmed.delete(jobId);
    const known = state.get().jobs.get(jobId);
    const next = applyEvent(known ?? createJob(jobId, { kind: familyOf(event) }), event);
    if (next !== known) put(next);
    if (!known) void ask(jobId);
  }

  function listen() {
    watchers += 1;
    unsubscribe ??= events.subscribe(hear);
    return once(() => {
      watchers -= 1;
      if (watchers > 0) return;
      unsubscribe?.();
      unsubscribe = undefined;
    });
  }

  transport.onHandover(() => {
    unconfirmed.clear();
    state.set(EMPTY);
  });

  return {
    get: state.get,
    subscribe: state.subscribe,
    load,
    follow() {
      const stop = listen();
      followers += 1;
      void load();
      return once(() => {
        followers -= 1;
        stop();
      });
    },
    watch(jobId) {
      const stop = listen();
      if (!isEnded(state.get().jobs.get(jobId)?.state)) void ask(jobId);
      return stop;
    },
    async cancel(jobId) {
      await transport.send('POST', `/jobs/${jobId}/cancel`);
    },
    async retry(jobId, { acceptCharge = false } = {}) {
      const consent = acceptCharge ? '?acceptCharge=true' : '';
      const answer = await getOrder(client)(`/jobs/${jobId}/retry${consent}`);
      const { kind, request } = state.get().jobs.get(jobId) ?? createJob(jobId);
      expect(answer.jobId, { kind, request, retryOf: jobId, createdAt: new Date().toISOString() });
      return answer;
    },
    expect,
  };
}

/** A job of which nothing is known but its id. */
export function createJob(jobId: string, known: Partial<Job> = {}): LiveJob {
  return {
    jobId,
    kind: '',
    state: 'queued',
    progress: null,
    message: '',
    attempts: [],
    createdAt: '',
    request: {},
    previews: [],
    ...known,
  };
}

/** The job after the event; the same object when the event brings nothing new. */
export function applyEvent(job: LiveJob, event: MediaEvent): LiveJob {
  if (isEnded(job.state)) return job;
  switch (event.type) {
    case 'job_queued':
      return { ...job, state: 'queued', progress: null };
    case 'generation_started':
    case 'upload_started':
    case 'process_started':
      return { ...job, state: 'running' };
    case 'generation_progress':
    case 'process_progress': {
      const { progress, message } = event.data;
      return { ...job, state: 'running', progress, message: message ?? job.message };
    }
    case 'upload_progress': {
      // A browser's count runs ahead of storage's; beside each other they would go back and forth.
      const progress = furthest(job.progress, event.data.progress);
      return { ...job, state: 'running', progress, message: event.data.message ?? job.message };
    }
    case 'generation_preview': {
      const previews = [...job.previews];
      previews[event.data.index] = event.data.url;
      return { ...job, previews };
    }
    case 'generation_complete':
    case 'upload_complete':
    case 'process_complete':
      return { ...job, state: 'succeeded', progress: 100, result: event.data.result };
    case 'generation_failed':
    case 'upload_failed':
    case 'process_failed':
      return { ...job, state: 'failed', error: event.data };
    case 'job_cancelled':
      return { ...job, state: 'cancelled' };
    default:
      return job;
  }
}

/** What is known after hearing the same job from another side: an end is never taken back. */
export function mergeJob(known: LiveJob | undefined, incoming: Job): LiveJob {
  const previews = (incoming as Partial<LiveJob>).previews ?? known?.previews ?? [];
  if (!known) return { ...incoming, previews };
  const stale = isEnded(known.state) && !isEnded(incoming.state);
  const attempts = known.attempts.length || Number.POSITIVE_INFINITY;
  const sameAttempt = incoming.attempts.length <= attempts;
  const behind = sameAttempt && (incoming.progress ?? -1) < (known.progress ?? -1);
  const facts = { ...known, ...defined(incoming), previews };
  if (stale) return { ...facts, ...ending(known) };
  return behind ? { ...facts, progress: known.progress, message: known.message } : facts;
}

// The family stands in for the kind until the service has told it.
function familyOf({ type }: MediaEvent): string {
  const family = type.slice(0, type.indexOf('_'));
  return family === 'job' ? '' : family;
}

export function isEnded(state: JobState | undefined): boolean {
  return state === 'succeeded' || state === 'failed' || state === 'cancelled';
}

function furthest(known: number | null, told: number | null): number | null {
  return told === null ? known : Math.max(told, known ?? 0);
}

function ending({ state, progress, message, result, error }: LiveJob): Partial<LiveJob> {
  return { state, progress, message, ...defined({ result, error }) };
}

function defined<T extends object>(value: T): Partial<T> {
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  return Object.fromEntries(entries) as Partial<T>;
}

function once(action: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    action();
  };
}
