import { type DragEvent as ReactDragEvent, useEffect, useRef, useState } from 'react';
import { readDropped } from './droppedFiles.js';

interface FileDropOptions {
  onFiles: (files: File[]) => void;
  /** Take files dropped or pasted anywhere on the page. */
  page: boolean;
  disabled: boolean;
}

type AnyDragEvent = DragEvent | ReactDragEvent;

/** Files dropped or pasted, here or anywhere on the page; `over` holds the types of those that hover above. */
export function useFileDrop({ onFiles, page, disabled }: FileDropOptions) {
  const [over, setOver] = useState<readonly string[] | null>(null);
  // dragenter and dragleave fire for every child passed, so the balance tells whether we left.
  const depth = useRef(0);

  const handlers = {
    onDragEnter(event: AnyDragEvent) {
      if (disabled || !carriesFiles(event)) return;
      event.preventDefault();
      depth.current += 1;
      setOver(typesOf(event));
    },
    onDragOver(event: AnyDragEvent) {
      if (!disabled && carriesFiles(event)) event.preventDefault();
    },
    onDragLeave() {
      depth.current = Math.max(0, depth.current - 1);
      if (depth.current === 0) setOver(null);
    },
    onDrop(event: AnyDragEvent) {
      depth.current = 0;
      setOver(null);
      if (disabled || !carriesFiles(event) || !event.dataTransfer) return;
      event.preventDefault();
      void readDropped(event.dataTransfer).then(onFiles);
    },
    onPaste(event: Pick<ClipboardEvent, 'clipboardData' | 'preventDefault'>) {
      const files = [...(event.clipboardData?.files ?? [])];
      if (disabled || files.length === 0) return;
      event.preventDefault();
      onFiles(files);
    },
  };

  const latest = useRef(handlers);
  useEffect(() => {
    latest.current = handlers;
  });
  useEffect(() => (page ? listen(latest) : undefined), [page]);
  return { over, handlers: page ? {} : handlers };
}

type Handlers = Record<
  'onDragEnter' | 'onDragOver' | 'onDragLeave' | 'onDrop',
  (event: DragEvent) => void
> & {
  onPaste: (event: ClipboardEvent) => void;
};

function listen(latest: { current: Handlers }): () => void {
  const stop = new AbortController();
  const { signal } = stop;
  addEventListener('dragenter', (event) => latest.current.onDragEnter(event), { signal });
  addEventListener('dragover', (event) => latest.current.onDragOver(event), { signal });
  addEventListener('dragleave', (event) => latest.current.onDragLeave(event), { signal });
  addEventListener('drop', (event) => latest.current.onDrop(event), { signal });
  addEventListener('paste', (event) => latest.current.onPaste(event), { signal });
  return () => stop.abort();
}

function carriesFiles({ dataTransfer }: AnyDragEvent): boolean {
  return !!dataTransfer && [...dataTransfer.types].includes('Files');
}

/** The types a browser tells before the drop; a folder has none. */
function typesOf({ dataTransfer }: AnyDragEvent): string[] {
  const items = [...(dataTransfer?.items ?? [])];
  return items.filter(({ kind }) => kind === 'file').map(({ type }) => type);
}
