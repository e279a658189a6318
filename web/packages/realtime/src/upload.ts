import type { UploadResult, UploadTicket } from './contract.js';
import { aborted, ServiceError, UploadError, type UploadStep } from './errors.js';
import { newId } from './newId.js';

export type UploadStatus =
  | 'queued'
  | 'starting'
  | 'sending'
  /** For the network; it goes on by itself where it stopped. */
  | 'waiting'
  | 'completing'
  | 'processing'
  | 'complete'
  | 'failed'
  | 'cancelled';

export interface UploadEntry {
  readonly id: string;
  readonly file: File;
  readonly status: UploadStatus;
  /** Bytes that storage took, counted by the browser. */
  readonly loaded: number;
  /** 0..100; 99 until the service has confirmed the file. */
  readonly progress: number;
  readonly jobId: string | null;
  readonly result: UploadResult | null;
  readonly error: UploadError | null;
}

export interface UploadOptions {
  signal?: AbortSignal;
  onProgress?: (progress: number) => void;
}

export interface UploadsState {
  readonly uploads: readonly UploadEntry[];
  readonly isUploading: boolean;
  readonly progress: number;
  readonly error: UploadError | null;
}

/** One upload from the inside: what its entry shows, and where it would go on. */
export interface UploadTask {
  entry: UploadEntry;
  /** Files begun together are counted together. */
  batch: number;
  step: UploadStep;
  sent: boolean;
  ticket: UploadTicket | undefined;
  /** Repeated until init is answered, so that a lost answer makes no second upload. */
  key: string;
  /** What ingest said, perhaps before `complete` was answered. */
  ending: Partial<UploadEntry> | undefined;
  controller: AbortController;
  onProgress: ((progress: number) => void) | undefined;
  settle: { resolve(result: UploadResult): void; reject(error: UploadError): void };
}

const RUNNING: readonly UploadStatus[] = ['queued', 'starting', 'sending', 'waiting', 'completing'];

export function createTask(file: File): UploadTask {
  return {
    entry: {
      id: newId(),
      file,
      status: 'queued',
      loaded: 0,
      progress: 0,
      jobId: null,
      result: null,
      error: null,
    },
    batch: 0,
    step: 'init',
    sent: false,
    ticket: undefined,
    key: newId(),
    ending: undefined,
    controller: new AbortController(),
    onProgress: undefined,
    settle: { resolve: () => undefined, reject: () => undefined },
  };
}

export function isRunning(entry: UploadEntry): boolean {
  return RUNNING.includes(entry.status);
}

/** Forget what storage was told, so that the next try sends the bytes again. */
export function startOver(task: UploadTask) {
  task.ticket = undefined;
  task.sent = false;
}

/** 0..100 over all the bytes of these uploads. */
export function sumProgress(tasks: UploadTask[]): number {
  const counted = tasks.filter(
    ({ entry }) => entry.status !== 'failed' && entry.status !== 'cancelled',
  );
  const weight = (entry: UploadEntry) => entry.file.size || 1;
  const total = counted.reduce((sum, { entry }) => sum + weight(entry), 0);
  const done = counted.reduce((sum, { entry }) => sum + weight(entry) * entry.progress, 0);
  return total ? Math.floor(done / total) : 0;
}

export function rejectedBy(message = 'The file was refused.', code = 'ingest_failed'): UploadError {
  return new UploadError(message, {
    code,
    retryable: false,
    step: 'ingest',
  });
}

export function describeUpload(cause: unknown, step: UploadStep): UploadError {
  if (cause instanceof ServiceError) {
    return new UploadError(cause.message, { ...cause, step });
  }
  return new UploadError(String(cause), { code: `${step}_failed`, step });
}

export function cancelled(step: UploadStep): UploadError {
  return describeUpload(aborted(), step);
}
