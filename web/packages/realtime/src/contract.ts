/** What the service sends and takes, as its contract states it. Absent and null mean the same. */

export type MediaKind = 'image' | 'video' | 'file';
export type MediaSource = 'generated' | 'upload' | 'import' | 'process';

/** One size of an item's thumbnail, in pixels. */
export interface Thumbnail {
  url: string;
  width: number;
  height: number;
}

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
  /** The same picture in other sizes. */
  thumbnails?: Thumbnail[] | null;
  thumbhash?: string | null;
  /** The item that this one was made of. */
  sourcePath?: string | null;
  /** What the provider sent, untouched; in results only. */
  originalUrl?: string | null;
  alt?: string | null;
  jobId?: string | null;
  prompt?: string | null;
  model?: string | null;
  seed?: number | null;
}

export type JobState = 'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled';

/** Why a job failed; `error` is a sentence for a person. */
export interface Failure {
  error: string;
  code: string;
  retryable: boolean;
}

export interface JobAttempt {
  number: number;
  provider: string;
  model: string;
  startedAt: string;
  endedAt?: string | null;
  error?: string | null;
  /** What the provider answered to a cancel: cancelled, requested, too_late, … */
  cancel?: string | null;
}

export interface UploadResult {
  url: string;
  path: string;
}

/** What an upload, an import or an operation became. */
export interface ItemResult extends UploadResult {
  item: MediaItem;
}

export interface GenerationResult {
  items: MediaItem[];
  provider?: string | null;
  model?: string | null;
  seed?: number | null;
  cost?: number | null;
}

export type JobResult = Partial<GenerationResult & ItemResult>;

export interface Job {
  jobId: string;
  kind: string;
  state: JobState;
  progress: number | null;
  message: string;
  attempts: JobAttempt[];
  createdAt: string;
  startedAt?: string | null;
  finishedAt?: string | null;
  result?: JobResult | null;
  error?: Failure | null;
  retryOf?: string | null;
  request: Record<string, unknown>;
}

export interface JobRef {
  jobId: string;
}

/** An error answer (RFC 9457). */
export interface Problem {
  type?: string;
  title: string;
  status: number;
  detail: string;
  code: string;
  errors?: FieldProblem[] | null;
}

export interface FieldProblem {
  field: string;
  message: string;
}

export interface InputImage<Role extends string> {
  path: string;
  role?: Role;
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

export interface UploadAnnouncement {
  filename: string;
  contentType: string;
  size?: number;
}

export interface UploadTicket {
  uploadURL: string;
  objectPath: string;
  jobId: string;
  headers: Record<string, string>;
  expiresAt: string;
  /** The address is a session: it also takes the file in chunks of so many bytes, and resumes. */
  resumable?: { chunkSize: number } | null;
}

export interface UploadCount {
  objectPath: string;
  loaded: number;
  total: number;
}

export interface ImportRequest {
  url: string;
  filename?: string;
}

/** What can be made of an item; sides in pixels, times in seconds. */
export type MediaOperation =
  | {
      type: 'resize';
      width?: number;
      height?: number;
      fit?: 'inside' | 'cover' | 'fill';
    }
  | { type: 'crop'; x: number; y: number; width: number; height: number }
  | { type: 'convert'; format: 'png' | 'jpeg' | 'webp' | 'avif'; quality?: number | null }
  | { type: 'thumbnail'; size: number }
  | { type: 'poster'; at?: number }
  | {
      type: 'transcode';
      codec: 'h264' | 'hevc' | 'vp9' | 'av1';
      height?: number;
      bitrate?: number;
    }
  | { type: 'trim'; start: number; end: number }
  | { type: 'strip' };

export interface ProcessRequest {
  path: string;
  operation: MediaOperation;
}

/** One model that can be asked for now, as `GET /providers` tells it. */
export interface ProviderModel {
  provider: string;
  model: string;
  kind: 'image' | 'video';
  label: string;
  nMax: number;
  defaultSize: number[];
  minSide: number;
  maxSide: number;
  aspectRatios: string[];
  secondsMax?: number | null;
  defaultSeconds?: number | null;
  fps: number[];
  roles: string[];
  /** Roles of pictures that it cannot do without. */
  needs: string[];
  imagesMax: number;
  /** By aspect ratio, where only these can be had. */
  sizes: Record<string, number[]>;
  /** Seconds, where only these can be had. */
  durations: number[];
  seed: boolean;
  negativePrompt: boolean;
  previews: boolean;
  /** What its progress counts. */
  progress: string;
  cancel: string;
  /** What the provider publishes: US dollars for one `per`. */
  price?: { usd: number; per: string } | null;
  /** The day from which the provider will not have it any more. */
  sunset?: string | null;
}

export interface MediaPage {
  items: MediaItem[];
  nextCursor?: string | null;
}

export interface JobPage {
  jobs: Job[];
  nextCursor?: string | null;
}

/** What a listing shows; words of name and prompt in `q`. */
export interface MediaFilter {
  prefix?: string;
  kind?: MediaKind;
  q?: string;
}

/** What to change of an item; what is left out stays, an empty `alt` takes it away. */
export interface MediaChange {
  name?: string;
  alt?: string;
}

export interface MediaDeletion {
  deleted: string[];
  failed: { path: string; code: string; error: string }[];
  /** The filter fits more items; ask again. */
  more: boolean;
}

/** What the library holds and unfinished uploads are promised; no quota is null. */
export interface MediaUsage {
  bytes: number;
  objects: number;
  quotaBytes: number | null;
  quotaObjects: number | null;
  limits: UsageLimit[];
}

/** One limit of the caller: so many, or US dollars of `spend`. Seconds: how long it lasts and when it ends. */
export interface UsageLimit {
  name: 'requests' | 'jobs' | 'items' | 'spend';
  limit: number;
  left: number;
  window?: number | null;
  resets?: number | null;
}
