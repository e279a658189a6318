import type { Failure, GenerationResult, ItemResult } from './contract.js';

interface OfJob {
  jobId: string;
}

interface Progress extends OfJob {
  progress: number | null;
  message?: string | null;
}

export interface EventData {
  ready: object;
  reset: object;
  job_queued: OfJob;
  job_cancelled: OfJob;
  generation_started: OfJob;
  generation_progress: Progress;
  generation_preview: OfJob & { index: number; url: string };
  generation_complete: OfJob & { result: GenerationResult };
  generation_failed: OfJob & Failure;
  upload_started: OfJob;
  upload_progress: Progress & { reportedBy?: 'client' };
  upload_complete: OfJob & { result: ItemResult };
  upload_failed: OfJob & Failure;
  process_started: OfJob;
  process_progress: Progress;
  process_complete: OfJob & { result: ItemResult };
  process_failed: OfJob & Failure;
  media_deleted: { paths: string[] };
}

export type EventName = keyof EventData;
export type MediaEvent = {
  [Name in EventName]: { type: Name; data: EventData[Name]; id?: string };
}[EventName];
