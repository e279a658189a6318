export {
  createClient,
  getClient,
  type MediaClient,
  type ServiceOptions,
} from './connection.js';
export type * from './contract.js';
export { ServiceError, UploadError, type UploadStep } from './errors.js';
export type * from './events.js';
export type { HeaderMap } from './identity.js';
export { subjectOf } from './identity.js';
export {
  applyEvent,
  createJob,
  getJobs,
  isEnded,
  type Jobs,
  type JobsState,
  type LiveJob,
  type LoadStatus,
  mergeJob,
  type RetryOptions,
} from './jobs.js';
export { createLibrary, type Library, type LibraryQuery, type LibraryState } from './library.js';
export {
  type Generate,
  getGenerate,
  getImport,
  getProcess,
  type ImportUrl,
  type Process,
} from './making.js';
export type { ReadableStore } from './store.js';
export type { EventListener, EventStream, StreamOptions, StreamStatus } from './stream.js';
export type { HeaderSource, SendOptions, Transport } from './transport.js';
export type { UploadEntry, UploadOptions, UploadStatus, UploadsState } from './upload.js';
export { getUploads, type Uploads } from './uploads.js';
export { getUsage, type Usage, type UsageState } from './usage.js';
