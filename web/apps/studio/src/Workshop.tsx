import type { MediaItem, ServiceOptions } from '@project/realtime';
import { type FormEvent, useState } from 'react';
import { process, rename } from './operations.js';
import { Snippet } from './Snippet.js';

interface WorkshopProps {
  service: ServiceOptions;
  item: MediaItem;
  onRenamed: () => void;
}

const IMAGE: Record<string, object> = {
  'Half the width': { type: 'resize' },
  'Square crop': { type: 'crop' },
  'As WebP': { type: 'convert', format: 'webp' },
  'As JPEG': { type: 'convert', format: 'jpeg', quality: 85 },
  'Thumbnail of 256': { type: 'thumbnail', size: 256 },
  'Without metadata': { type: 'strip' },
};
const VIDEO: Record<string, object> = {
  'First frame': { type: 'poster', at: 0 },
  'First half': { type: 'trim', start: 0 },
  'As VP9': { type: 'transcode', codec: 'vp9' },
  'Thumbnail of 256': { type: 'thumbnail', size: 256 },
};

/** Give the item another name, or make a new one of it. */
export function Workshop({ service, item, onRenamed }: WorkshopProps) {
  const [said, setSaid] = useState('');
  const [asked, setAsked] = useState<object | null>(null);
  const offers = item.kind === 'image' ? IMAGE : item.kind === 'video' ? VIDEO : {};
  const tell = (promise: Promise<unknown>, done: string) =>
    promise.then(
      () => setSaid(done),
      (error: Error) => setSaid(error.message),
    );
  const make = (label: string) => {
    const operation = fill(offers[label] as { type: string }, item);
    setAsked({ path: item.path, operation });
    void tell(process(service, item.path, operation), `${label}: being made.`);
  };
  const save = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const change = { name: String(form.get('name')), alt: String(form.get('alt')) };
    void tell(rename(service, item.path, change).then(onRenamed), 'Saved.');
  };
  return (
    <div className="workshop" key={item.path}>
      <form onSubmit={save}>
        <label className="pu-field">
          Name
          <input
            className="pu-input"
            name="name"
            required
            maxLength={200}
            defaultValue={item.name}
          />
        </label>
        <label className="pu-field">
          Alt text
          <input
            className="pu-input"
            name="alt"
            maxLength={2000}
            defaultValue={(item as { alt?: string | null }).alt ?? ''}
          />
        </label>
        <button type="submit" className="pu-button">
          Save
        </button>
        {Object.keys(offers).length > 0 && (
          <label className="pu-field">
            Make of it
            <select className="pu-input" value="" onChange={({ target }) => make(target.value)}>
              <option value="">Choose</option>
              {Object.keys(offers).map((label) => (
                <option key={label}>{label}</option>
              ))}
            </select>
          </label>
        )}
      </form>
      <p role="status" className="pu-note">
        {said}
      </p>
      {asked && <Snippet path="/media/process" body={asked} hook="process" />}
    </div>
  );
}

/** The figures that follow from the item itself. */
function fill(operation: { type: string }, { width, height, duration }: MediaItem): object {
  const side = Math.min(width ?? 1, height ?? 1);
  switch (operation.type) {
    case 'resize':
      return { ...operation, width: Math.max(1, Math.round((width ?? 2) / 2)) };
    case 'crop': {
      const [x, y] = [((width ?? side) - side) >> 1, ((height ?? side) - side) >> 1];
      return { ...operation, x, y, width: side, height: side };
    }
    case 'trim':
      return { ...operation, end: (duration ?? 2) / 2 };
    default:
      return operation;
  }
}
