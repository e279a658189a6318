import type { MediaItem, MediaLibraryView, MediaOperation } from '@project/realtime';
import { type FormEvent, useState } from 'react';
import { Snippet } from './Snippet.js';

interface WorkshopProps {
  library: Pick<MediaLibraryView, 'process' | 'update'>;
  item: MediaItem;
}

type Offer = (item: MediaItem) => MediaOperation;

const IMAGE: Record<string, Offer> = {
  'Half the width': ({ width }) => ({ type: 'resize', width: Math.ceil((width ?? 2) / 2) }),
  'Square crop': cropSquare,
  'As WebP': () => ({ type: 'convert', format: 'webp' }),
  'As JPEG': () => ({ type: 'convert', format: 'jpeg', quality: 85 }),
  'Thumbnail of 256': () => ({ type: 'thumbnail', size: 256 }),
  'Without metadata': () => ({ type: 'strip' }),
};
const VIDEO: Record<string, Offer> = {
  'First frame': () => ({ type: 'poster', at: 0 }),
  'First half': ({ duration }) => ({ type: 'trim', start: 0, end: (duration ?? 2) / 2 }),
  'As VP9': () => ({ type: 'transcode', codec: 'vp9' }),
  'Thumbnail of 256': () => ({ type: 'thumbnail', size: 256 }),
};
const OFFERS: Record<string, Record<string, Offer>> = { image: IMAGE, video: VIDEO };

/** Give the item another name, or make a new one of it. */
export function Workshop({ library, item }: WorkshopProps) {
  const [said, setSaid] = useState('');
  const [asked, setAsked] = useState<object | null>(null);
  const offers = OFFERS[item.kind] ?? {};
  const tell = (promise: Promise<unknown>, done: string) =>
    promise.then(
      () => setSaid(done),
      (error: Error) => setSaid(error.message),
    );
  const make = (label: string) => {
    const operation = offers[label]?.(item);
    if (!operation) return;
    setAsked({ path: item.path, operation });
    void tell(library.process(item.path, operation), `${label}: being made.`);
  };
  const save = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const change = { name: String(form.get('name')), alt: String(form.get('alt')) };
    void tell(library.update(item.path, change), 'Saved.');
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
          <input className="pu-input" name="alt" maxLength={2000} defaultValue={item.alt ?? ''} />
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

function cropSquare({ width, height }: MediaItem): MediaOperation {
  const [wide, high] = [width ?? 1, height ?? 1];
  const side = Math.min(wide, high);
  return { type: 'crop', x: (wide - side) >> 1, y: (high - side) >> 1, width: side, height: side };
}
