import { type ServiceOptions, useMediaLibrary, useMediaUpload } from '@project/realtime';
import { MediaLibrary, MediaUploader } from '@project/ui';
import { type ReactNode, useCallback, useDeferredValue } from 'react';
import { deleteMany } from './deleteMany.js';
import { Examples } from './Examples.js';
import { visible } from './errors.js';
import { ImportForm } from './ImportForm.js';
import { Quota } from './Quota.js';
import { type ShelfView, useShelf } from './useShelf.js';
import { Workshop } from './Workshop.js';

interface ShelfProps {
  service: ServiceOptions;
  onExample: (prompt: string) => void;
}

/** What the user owns, with the way to add to it. */
export function Shelf({ service, onExample }: ShelfProps) {
  const [view, change] = useShelf();
  const q = useDeferredValue(view.q.trim());
  const { kind, source, sort } = view;
  const library = useMediaLibrary({
    ...service,
    kind: kind || undefined,
    source: source || undefined,
    sort: sort || undefined,
    q: q || undefined,
    limit: 60,
  });
  const { upload, isUploading, progress } = useMediaUpload(service);
  const remove = useCallback((paths: readonly string[]) => deleteMany(service, paths), [service]);
  const narrowed = view.kind || view.source || q;
  const signedOut = library.error !== null && visible(library.error) === null;
  const vacant = narrowed ? 'Nothing matches.' : <Examples onChoose={onExample} />;
  return (
    <section aria-label="Library" className="shelf">
      <div className="shelf-head">
        <h2>Library</h2>
        <Quota service={service} />
        <Filters view={view} onChange={change} />
      </div>
      <div className="add">
        <MediaUploader
          upload={upload}
          isUploading={isUploading}
          progress={progress}
          dropTarget="page"
          rows="refused"
          capture="environment"
          directory
        />
        <ImportForm importUrl={library.importUrl} />
      </div>
      <MediaLibrary
        items={library.items}
        loading={library.isLoading}
        error={visible(library.error)}
        onRetry={library.refetch}
        hasMore={library.hasMore}
        loadingMore={library.isLoadingMore}
        onLoadMore={library.loadMore}
        onDeleteMany={remove}
        lightboxActions={(item) => <Workshop key={item.path} library={library} item={item} />}
        emptyState={signedOut ? 'Your library appears here once a token is accepted.' : vacant}
      />
    </section>
  );
}

interface FiltersProps {
  view: ShelfView;
  onChange: (part: Partial<ShelfView>) => void;
}

function Filters({ view, onChange }: FiltersProps) {
  return (
    <search className="filters">
      <Choice label="Kind" value={view.kind} onChange={(kind) => onChange({ kind })}>
        <option value="">All kinds</option>
        <option value="image">Images</option>
        <option value="video">Videos</option>
        <option value="file">Files</option>
      </Choice>
      <Choice label="Source" value={view.source} onChange={(source) => onChange({ source })}>
        <option value="">Any source</option>
        <option value="generated">Generated</option>
        <option value="upload">Uploaded</option>
        <option value="import">Imported</option>
        <option value="process">Made of others</option>
      </Choice>
      <Choice label="Order" value={view.sort} onChange={(sort) => onChange({ sort })}>
        <option value="">Newest</option>
        <option value="oldest">Oldest</option>
        <option value="largest">Largest</option>
      </Choice>
      <input
        className="pu-input search"
        type="search"
        aria-label="Search the library"
        placeholder="Search"
        maxLength={200}
        value={view.q}
        onChange={({ target }) => onChange({ q: target.value })}
      />
    </search>
  );
}

function Choice<Value extends string>(props: {
  label: string;
  value: Value;
  onChange: (value: Value) => void;
  children: ReactNode;
}) {
  return (
    <select
      className="pu-input"
      aria-label={props.label}
      value={props.value}
      onChange={({ target }) => props.onChange(target.value as Value)}
    >
      {props.children}
    </select>
  );
}
