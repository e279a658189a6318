import { type MediaClient, perClient } from './connection.js';
import type { Failure, Job, UploadResult } from './contract.js';
import { type ServiceError, UploadError } from './errors.js';
import type { MediaEvent } from './events.js';
import { putBytes } from './put.js';
import { createStore, type ReadableStore } from './store.js';
import { createTransfer } from './transfer.js';
import {
  cancelled,
  createTask,
  describeUpload,
  isRunning,
  rejectedBy,
  startOver,
  sumProgress,
  type UploadEntry,
  type UploadOptions,
  type UploadsState,
  type UploadTask,
} from './upload.js';

export interface Uploads extends ReadableStore<UploadsState> {
  /** Send one file. A file that failed before and is given again goes on at the step that failed. */
  upload(file: File, options?: UploadOptions): Promise<UploadResult>;
  uploadMany(
    files: Iterable<File>,
    options?: UploadOptions,
  ): Promise<PromiseSettledResult<UploadResult>[]>;
  cancel(id: string): void;
  retry(id: string): Promise<UploadResult>;
  remove(id: string): void;
  reset(): void;
}

const IDLE: UploadsState = { uploads: [], isUploading: false, progress: 0, error: null };
const LOST: Partial<UploadEntry> = {
  status: 'failed',
  error: rejectedBy('The service no longer knows this file. Upload it again.', 'job_not_found'),
};

/** The client's one queue of uploads. */
export const getUploads = /* @__PURE__ */ perClient((client) => createUploads(client));

/** A queue of uploads: init, PUT, complete for each file, a few at a time. */
export function createUploads(
  { transport, events }: MediaClient,
  { concurrency = 3, put = putBytes } = {},
): Uploads {
  const state = createStore<UploadsState>(IDLE);
  const tasks = new Map<string, UploadTask>();
  let waiting: UploadTask[] = [];
  let active = 0;
  let batch = 0;
  let unfollow: (() => void) | undefined;

  const advance = createTransfer({ transport, put, update });
  transport.onHandover(forget);

  function publish() {
    const all = [...tasks.values()];
    const isUploading = all.some((task) => isRunning(task.entry));
    state.set({
      uploads: all.map((task) => task.entry),
      isUploading,
      progress: sumProgress(all.filter((task) => task.batch === batch)),
      error:
        all.findLast(({ entry }) => entry.error && entry.status === 'failed')?.entry.error ?? null,
    });
    follow(all.some(({ entry }) => isRunning(entry) || entry.status === 'processing'));
  }

  function update(task: UploadTask, change: Partial<UploadEntry>) {
    const before = task.entry.progress;
    task.entry = { ...task.entry, ...change };
    if (!tasks.has(task.entry.id)) return;
    if (task.entry.progress !== before) task.onProgress?.(task.entry.progress);
    publish();
  }

  function enqueue(task: UploadTask, options: UploadOptions): Promise<UploadResult> {
    if (!state.get().isUploading) batch += 1;
    task.batch = batch;
    task.controller = new AbortController();
    task.onProgress = options.onProgress;
    const id = task.entry.id;
    const cancelIt = () => cancel(id);
    options.signal?.addEventListener('abort', cancelIt, { once: true });
    const settled = new Promise<UploadResult>((resolve, reject) => {
      task.settle = { resolve, reject };
    }).finally(() => options.signal?.removeEventListener('abort', cancelIt));
    waiting.push(task);
    update(task, { status: 'queued', error: null });
    if (options.signal?.aborted) cancel(id);
    pump();
    return settled;
  }

  function pump() {
    while (active < concurrency) {
      const task = waiting.shift();
      if (!task) return;
      active += 1;
      void run(task).finally(() => {
        active -= 1;
        pump();
      });
    }
  }

  async function run(task: UploadTask) {
    try {
      const result = await advance(task);
      update(task, { status: 'processing', progress: 100, result, ...task.ending });
      task.settle.resolve(result);
    } catch (cause) {
      const error = describeUpload(cause, task.step);
      const status = error.code === 'aborted' ? 'cancelled' : 'failed';
      update(task, { status, error });
      task.settle.reject(error);
    }
  }

  function follow(needed: boolean) {
    if (needed) unfollow ??= events.subscribe(hear);
    else if (unfollow) {
      unfollow();
      unfollow = undefined;
    }
  }

  function hear(event: MediaEvent) {
    if (event.type === 'ready' || event.type === 'reset') return inquire();
    if (!('jobId' in event.data)) return;
    const { jobId } = event.data;
    const task = [...tasks.values()].find(({ entry }) => entry.jobId === jobId);
    if (!task) return;
    if (event.type === 'upload_complete') conclude(task, { status: 'complete' });
    if (event.type === 'job_cancelled') conclude(task, { status: 'cancelled' });
    if (event.type === 'upload_failed') refuse(task, event.data);
  }

  /** Ask after the files whose last word may have been spoken while nobody listened. */
  function inquire() {
    for (const task of tasks.values()) {
      if (task.entry.status === 'processing' && task.entry.jobId) void ask(task, task.entry.jobId);
    }
  }

  async function ask(task: UploadTask, jobId: string) {
    const job = await transport.send<Job>('GET', `/jobs/${jobId}`).catch((error: ServiceError) => {
      if (error.status === 404) conclude(task, LOST);
    });
    if (job?.state === 'succeeded') conclude(task, { status: 'complete' });
    if (job?.state === 'failed') refuse(task, job.error);
  }

  function refuse(task: UploadTask, failure: Failure | null | undefined) {
    conclude(task, { status: 'failed', error: rejectedBy(failure?.error, failure?.code) });
  }

  function conclude(task: UploadTask, ending: Partial<UploadEntry>) {
    task.ending = ending;
    if (ending.status === 'failed') startOver(task);
    if (task.entry.status === 'processing') update(task, ending);
  }

  function cancel(id: string) {
    const task = tasks.get(id);
    if (!task || !isRunning(task.entry)) return;
    task.controller.abort();
    if (task.ticket)
      void transport.send('POST', `/jobs/${task.ticket.jobId}/cancel`).catch(() => undefined);
    if (!waiting.includes(task)) return;
    waiting = waiting.filter((other) => other !== task);
    const error = cancelled(task.step);
    update(task, { status: 'cancelled', error });
    task.settle.reject(error);
  }

  /** Leave nothing to the next user, and do nothing more in the name of the last. */
  function forget() {
    if (tasks.size === 0) return;
    for (const task of tasks.values()) task.controller.abort();
    for (const task of waiting) task.settle.reject(cancelled(task.step));
    tasks.clear();
    waiting = [];
    publish();
  }

  function upload(file: File, options: UploadOptions = {}): Promise<UploadResult> {
    const failed = [...tasks.values()].find(
      ({ entry }) => entry.file === file && entry.status === 'failed' && entry.error?.retryable,
    );
    if (failed) return enqueue(failed, options);
    const task = createTask(file);
    tasks.set(task.entry.id, task);
    return enqueue(task, options);
  }

  return {
    get: state.get,
    subscribe: state.subscribe,
    upload,
    uploadMany: (files, options) =>
      Promise.allSettled([...files].map((file) => upload(file, options))),
    cancel,
    retry(id) {
      const task = tasks.get(id);
      if (task && !isRunning(task.entry) && !task.entry.result) {
        if (task.entry.status === 'cancelled') startOver(task);
        return enqueue(task, {});
      }
      const message = 'This upload cannot be tried again.';
      return Promise.reject(
        new UploadError(message, { code: 'not_retryable', retryable: false, step: 'init' }),
      );
    },
    remove(id) {
      cancel(id);
      tasks.delete(id);
      publish();
    },
    reset() {
      for (const [id, { entry }] of tasks) if (!isRunning(entry)) tasks.delete(id);
      publish();
    },
  };
}
