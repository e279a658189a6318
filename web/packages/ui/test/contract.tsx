// The lines of the contract as they stand; the names they leave open are given here.
import { useMediaUpload } from '@project/realtime';
import { MediaLibrary, MediaUploader } from '@project/ui';

interface Given {
  token: string;
  file: File;
  items: { path: string; url: string; anything?: unknown }[];
  refetchMedia: () => void;
  deleteMedia: (path: string) => Promise<void>;
}

export function ContractHook({ token }: Pick<Given, 'token'>) {
  const { upload, isUploading, progress, error, reset } = useMediaUpload({
    apiPrefix: '', serviceName: 'example-api', headers: { Authorization: `Bearer ${token}` },
  });
  const send = async (file: File): Promise<{ url: string; path: string }> => {
    const result = await upload(file);            // { url, path }
    return result;
  };
  const facts: [boolean, number, string | undefined] = [isUploading, progress, error?.code];
  return <input type="file" aria-label={facts.join()} onChange={({ target }) => {
    reset();
    const file = target.files?.[0];
    if (file) void send(file);
  }} />;
}

export function ContractPage({ token, items, refetchMedia, deleteMedia }: Omit<Given, 'file'>) {
  const mediaUpload = useMediaUpload({
    apiPrefix: '', serviceName: 'example-api', headers: { Authorization: `Bearer ${token}` },
  });
  return (
    <>
      <MediaUploader upload={mediaUpload.upload} isUploading={mediaUpload.isUploading}
        progress={mediaUpload.progress} onUploadComplete={() => refetchMedia()} />
      <MediaLibrary items={items} onDelete={(path) => deleteMedia(path)} />
    </>
  );
}
