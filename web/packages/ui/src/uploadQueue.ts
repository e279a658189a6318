export interface UploadCallOptions {
  signal?: AbortSignal;
  onProgress?: (progress: number) => void;
}

export interface UploadedMedia {
  url: string;
  path: string;
}

export type UploadFile = (file: File, options?: UploadCallOptions) => Promise<UploadedMedia>;

export interface QueueEntry {
  readonly id: string;
  readonly file: File;
  readonly status: 'waiting' | 'sending' | 'done' | 'failed';
  /** 0..100; null until the first real report. */
  readonly progress: number | null;
  /** Empty where nobody said why. */
  readonly error: string | null;
  readonly retryable: boolean;
  /** Never sent, for what it is. */
  readonly refused: boolean;
}

export interface QueueActions {
  upload: UploadFile;
  refuse(file: File): string | null;
  onComplete?: ((media: UploadedMedia, file: File) => void) | undefined;
}

export interface UploadQueue {
  get(): readonly QueueEntry[];
  subscribe(listener: () => void): () => void;
  add(files: readonly File[], actions: QueueActions): void;
  retry(id: string, actions: QueueActions): void;
  remove(id: string): void;
}

const LINGER = 4_000;
let created = 0;

/** A list of files on their way, so many at a time, whatever function does the sending. */
export function createUploadQueue(concurrency = 3): UploadQueue {
  const listeners = new Set<() => void>();
  const controllers = new Map<string, AbortController>();
  let entries: readonly QueueEntry[] = [];
  let actions: QueueActions | undefined;

  function set(next: readonly QueueEntry[]) {
    entries = next;
    for (const listener of listeners) listener();
  }

  function update(id: string, change: Partial<QueueEntry>) {
    set(entries.map((entry) => (entry.id === id ? { ...entry, ...change } : entry)));
  }

  function pump() {
    const sending = entries.filter(({ status }) => status === 'sending').length;
    const next = entries
      .filter(({ status }) => status === 'waiting')
      .slice(0, concurrency - sending);
    for (const entry of next) void send(entry);
  }

  async function send({ id, file }: QueueEntry) {
    if (!actions) return;
    const { upload, onComplete } = actions;
    const controller = new AbortController();
    controllers.set(id, controller);
    update(id, { status: 'sending', progress: null, error: null });
    try {
      const onProgress = (progress: number) => update(id, { progress });
      const media = await upload(file, { signal: controller.signal, onProgress });
      update(id, { status: 'done', progress: 100 });
      setTimeout(() => remove(id), LINGER);
      onComplete?.(media, file);
    } catch (cause) {
      update(id, { status: 'failed', ...explain(cause) });
    }
    pump();
  }

  function remove(id: string) {
    controllers.get(id)?.abort();
    controllers.delete(id);
    set(entries.filter((entry) => entry.id !== id));
  }

  return {
    get: () => entries,
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    add(files, next) {
      actions = next;
      set([...entries, ...files.map((file) => createEntry(file, next.refuse(file)))]);
      pump();
    },
    retry(id, next) {
      actions = next;
      update(id, { status: 'waiting', error: null });
      pump();
    },
    remove,
  };
}

/** Whether an input with this `accept` would take the file. */
export function isAccepted({ name, type }: Pick<File, 'name' | 'type'>, accept: string): boolean {
  const rules = accept.split(',').map((rule) => rule.trim().toLowerCase());
  if (rules.every((rule) => rule === '')) return true;
  return rules.some((rule) => {
    if (rule.startsWith('.')) return name.toLowerCase().endsWith(rule);
    if (rule.endsWith('/*')) return type.startsWith(rule.slice(0, -1));
    return type === rule;
  });
}

function createEntry(file: File, error: string | null): QueueEntry {
  const status = error ? 'failed' : 'waiting';
  created += 1;
  const id = `upload-${created}`;
  return { id, file, status, progress: null, error, retryable: false, refused: error !== null };
}

function explain(cause: unknown): Pick<QueueEntry, 'error' | 'retryable'> {
  const error = cause instanceof Error ? cause.message : '';
  return { error, retryable: (cause as { retryable?: boolean } | null)?.retryable !== false };
}
