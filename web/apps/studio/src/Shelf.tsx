import {
  type MediaKind,
  type ServiceOptions,
  useMediaLibrary,
  useMediaUpload,
} from '@project/realtime';
import { MediaLibrary, MediaUploader } from '@project/ui';
import { useDeferredValue, useState } from 'react';
import { Examples } from './Examples.js';
import { visible } from './errors.js';

interface ShelfProps {
  service: ServiceOptions;
  onExample: (prompt: string) => void;
  onProblem: (problem: unknown) => void;
}

type Filter = MediaKind | 'all';

const filters: readonly [Filter, string][] = [
  ['all', 'All'],
  ['image', 'Images'],
  ['video', 'Videos'],
];

/** What the user owns, with the way to add to it. */
export function Shelf({ service, onExample, onProblem }: ShelfProps) {
  const [filter, setFilter] = useState<Filter>('all');
  const [search, setSearch] = useState('');
  const q = useDeferredValue(search.trim());
  const kind = filter === 'all' ? undefined : filter;
  const library = useMediaLibrary({ ...service, kind, q: q || undefined, limit: 60 });
  const { upload, isUploading, progress, uploads, remove } = useMediaUpload(service);
  const rejected = uploads.filter(({ error }) => error?.step === 'ingest');
  const narrowed = kind !== undefined || q !== '';
  const signedOut = library.error !== null && visible(library.error) === null;
  const vacant = narrowed ? 'Nothing matches.' : <Examples onChoose={onExample} />;
  const empty = signedOut ? 'Your library appears here once a token is accepted.' : vacant;
  return (
    <section aria-label="Library" className="shelf">
      <div className="shelf-head">
        <h2>Library</h2>
        <fieldset className="pu-segments">
          <legend className="pu-sr">Show</legend>
          {filters.map(([value, label]) => (
            <label key={value}>
              <input
                type="radio"
                name="filter"
                checked={filter === value}
                onChange={() => setFilter(value)}
              />
              {label}
            </label>
          ))}
        </fieldset>
        <input
          className="pu-input search"
          type="search"
          aria-label="Search the library"
          placeholder="Search"
          value={search}
          onChange={({ target }) => setSearch(target.value)}
        />
      </div>
      <MediaUploader
        upload={upload}
        isUploading={isUploading}
        progress={progress}
        dropTarget="page"
      />
      {rejected.map(({ id, file, error }) => (
        <div key={id} className="banner" role="alert">
          <p>
            <bdi>{file.name}</bdi>: {error?.message}
          </p>
          <button type="button" className="pu-button" data-look="quiet" onClick={() => remove(id)}>
            Dismiss
          </button>
        </div>
      ))}
      <MediaLibrary
        items={library.items}
        loading={library.isLoading}
        error={visible(library.error)}
        onRetry={() => void library.refetch()}
        hasMore={library.hasMore}
        loadingMore={library.isLoadingMore}
        onLoadMore={() => void library.loadMore()}
        onDelete={(path) => void library.remove(path).catch(onProblem)}
        emptyState={empty}
      />
    </section>
  );
}
