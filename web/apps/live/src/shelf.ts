/** The library: items as `GET /media` lists them, and their bytes. */
export interface Item {
  path: string;
  url: string;
  contentType: string;
  size: number;
  createdAt: string;
  kind: string;
  source: string;
  name: string;
  width?: number;
  height?: number;
  alt?: string;
  prompt?: string;
}

export interface Kept {
  item: Item;
  blob: Blob;
}

export type Shelf = Map<string, Kept>;

interface Fresh extends Partial<Item> {
  blob: Blob;
  name: string;
  source: string;
  jobId: string;
  model?: string;
  seed?: number;
  sourcePath?: string;
}

export function keep(shelf: Shelf, { blob, ...facts }: Fresh): Item {
  const kind = blob.type.split('/')[0] ?? 'file';
  const item: Item = {
    ...facts,
    path: `media/me/${kind}s/${facts.jobId}_${shelf.size}`,
    url: URL.createObjectURL(blob),
    contentType: blob.type,
    size: blob.size,
    createdAt: new Date().toISOString(),
    kind,
  };
  shelf.set(item.path, { item, blob });
  return item;
}

/** What a listing shows of the shelf. */
export function list(shelf: Shelf, asked: URLSearchParams): Item[] {
  const kind = asked.get('kind');
  const source = asked.get('source');
  const words = (asked.get('q') ?? '').toLowerCase().split(/\s+/);
  const found = [...shelf.values()]
    .map(({ item }) => item)
    .filter((item) => (!kind || item.kind === kind) && (!source || item.source === source))
    .filter((item) => words.every((word) => textOf(item).includes(word)));
  if (asked.get('sort') === 'largest') return found.sort((one, other) => other.size - one.size);
  return asked.get('sort') === 'oldest' ? found : found.reverse();
}

function textOf({ name, prompt }: Item): string {
  return `${name} ${prompt ?? ''}`.toLowerCase();
}
