export * from './client.js';
export { type Generation, useGenerate } from './useGenerate.js';
export { type JobEvents, type JobEventsOptions, useJobEvents } from './useJobEvents.js';
export { type JobsView, type JobView, useJob, useJobs } from './useJobs.js';
export {
  type MediaLibraryOptions,
  type MediaLibraryView,
  useMediaLibrary,
} from './useMediaLibrary.js';
export { type MediaUpload, useMediaUpload } from './useMediaUpload.js';
export { type MediaUsageView, useMediaUsage } from './useMediaUsage.js';
