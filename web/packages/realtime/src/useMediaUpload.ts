import { getUploads, type ServiceOptions, type Uploads, type UploadsState } from './client.js';
import { useClient, useStore } from './useClient.js';

export interface MediaUpload
  extends UploadsState,
    Pick<Uploads, 'upload' | 'uploadMany' | 'cancel' | 'retry' | 'remove' | 'reset'> {}

/** Send files to storage. Uploads belong to the service's client and go on when the component is gone. */
export function useMediaUpload(options: ServiceOptions): MediaUpload {
  const uploads = getUploads(useClient(options));
  const { upload, uploadMany, cancel, retry, remove, reset } = uploads;
  return { ...useStore(uploads), upload, uploadMany, cancel, retry, remove, reset };
}
