export { type CardJob, JobCard, type JobCardProps } from './JobCard.js';
export { Lightbox, type LightboxProps } from './Lightbox.js';
export { MediaLibrary, type MediaLibraryProps } from './MediaLibrary.js';
export { MediaUploader, type MediaUploaderProps } from './MediaUploader.js';
export { formatBytes, type LibraryItem } from './media.js';
export type { Messages } from './messages.js';
export { PromptComposer, type PromptComposerProps } from './PromptComposer.js';
export {
  type ComposerRequest,
  type Draft,
  type GenerationKind,
  type ModelOption,
  toDraft,
} from './requests.js';
export { UiProvider, type UiSettings } from './Styles.js';
export { type DockEntry, UploadDock, type UploadDockProps } from './UploadDock.js';
export type { UploadCallOptions, UploadedMedia, UploadFile } from './uploadQueue.js';
