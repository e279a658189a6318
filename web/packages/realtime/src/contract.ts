/** What the service sends and takes, as its contract states it. Absent and null mean the same. */

export type MediaKind = 'image' | 'video' | 'file';
export type MediaSource = 'generated' | 'upload' | 'import' | 'process';

export interface MediaItem {
  path: string;
  url: string;
  contentType: string;
  size: number;
  createdAt: string;
  kind: MediaKind;
  source: MediaSource;
  name: string;
  width?: number | null;
  height?: number | null;
  duration?: number | null;
  thumbnailUrl?: string | null;
  thumbhash?: string | null;
  jobId?: string | null;
  prompt?: string | null;
  model?: string | null;
  seed?: number | null;
}

export type JobState = 'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled';

export interface Failure {
  error: string;
  code?: string | null;
  retryable?: boolean | null;
}

export interface JobAttempt {
  number: number;
  provider?: string | null;
  model?: string | null;
  startedAt: string;
  endedAt?: string | null;
  error?: JobError | null;
}

export type JobError = string | (Partial<Failure> & { message?: string; detail?: string });

export interface UploadResult {
  url: string;
  path: string;
}

export interface GenerationResult {
  items: MediaItem[];
  provider?: string | null;
  model?: string | null;
  seed?: number | null;
  cost?: number | null;
}

export type JobResult = Partial<GenerationResult> & Partial<UploadResult>;

export interface Job {
  jobId: string;
  kind: string;
  state: JobState;
  progress: number | null;
  message: string | null;
  attempts: JobAttempt[];
  createdAt: string;
  startedAt?: string | null;
  finishedAt?: string | null;
  result?: JobResult | null;
  error?: JobError | null;
  retryOf?: string | null;
  request?: Record<string, unknown> | null;
}

export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: string;
  errors?: { field?: string; message?: string; [key: string]: unknown }[];
}

export interface InputImage<Role extends string> {
  path: string;
  role: Role;
}

interface GenerationRequest<Role extends string> {
  prompt: string;
  width?: number;
  height?: number;
  aspectRatio?: string;
  seed?: number;
  images?: InputImage<Role>[];
  provider?: string;
  model?: string;
  priority?: 'normal' | 'low';
}

export interface ImageRequest extends GenerationRequest<'reference' | 'init' | 'mask'> {
  n?: number;
  negativePrompt?: string;
}

export interface VideoRequest
  extends GenerationRequest<'reference' | 'first_frame' | 'last_frame'> {
  seconds?: number;
  fps?: number;
}

export interface GenerationRequests {
  image: ImageRequest;
  video: VideoRequest;
}

export interface UploadTicket {
  uploadURL: string;
  objectPath: string;
  jobId: string;
  headers?: Record<string, string> | null;
  expiresAt?: string | null;
  /** The address is a session: it also takes the file in chunks of so many bytes, and resumes. */
  resumable?: { chunkSize: number } | null;
}

/** One model that can be asked for now, as `GET /providers` tells it. */
export interface ProviderModel {
  provider: string;
  model: string;
  kind: 'image' | 'video';
  label?: string | null;
  nMax?: number | null;
  defaultSize?: number[] | null;
  minSide?: number | null;
  maxSide?: number | null;
  aspectRatios?: string[] | null;
  secondsMax?: number | null;
  defaultSeconds?: number | null;
  fps?: number[] | null;
  roles?: string[] | null;
  negativePrompt?: boolean | null;
  /** What its progress counts. */
  progress?: string | null;
  seed?: boolean | null;
  previews?: boolean | null;
  cancel?: string | null;
}

export interface MediaPage {
  items: MediaItem[];
  nextCursor?: string | null;
}

export interface JobPage {
  jobs: Job[];
  nextCursor?: string | null;
}

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
  upload_complete: OfJob & { result: UploadResult };
  upload_failed: OfJob & Failure;
  process_started: OfJob;
  process_progress: Progress;
  process_complete: OfJob & { result: JobResult };
  process_failed: OfJob & Failure;
  media_deleted: { paths: string[] };
}

export type EventName = keyof EventData;
export type MediaEvent = {
  [Name in EventName]: { type: Name; data: EventData[Name]; id?: string };
}[EventName];
