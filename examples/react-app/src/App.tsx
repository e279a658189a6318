import { useMediaLibrary, useMediaUpload } from '@project/realtime';
import { MediaLibrary, MediaUploader } from '@project/ui';

export function App({ token }: { token: string }) {
  const mediaUpload = useMediaUpload({
    apiPrefix: '', serviceName: 'example-api', headers: { Authorization: `Bearer ${token}` },
  });
  const { items, refetch: refetchMedia, remove: deleteMedia } = useMediaLibrary({
    apiPrefix: '', serviceName: 'example-api', headers: { Authorization: `Bearer ${token}` },
  });
  return (
    <main>
      <h1>My media</h1>
      <MediaUploader upload={mediaUpload.upload} isUploading={mediaUpload.isUploading}
        progress={mediaUpload.progress} onUploadComplete={() => refetchMedia()} />
      <MediaLibrary items={items} onDelete={(path) => deleteMedia(path)} />
    </main>
  );
}
