/** What the components read of a library item; further keys are welcome and ignored. */
export interface LibraryItem {
  path: string;
  url: string;
  name?: string | null;
  kind?: string | null;
  contentType?: string | null;
  size?: number | null;
  width?: number | null;
  height?: number | null;
  duration?: number | null;
  createdAt?: string | null;
  thumbnailUrl?: string | null;
  prompt?: string | null;
  model?: string | null;
  seed?: number | null;
}

export type VisualKind = 'image' | 'video' | 'file';

const EXTENSIONS: readonly [RegExp, VisualKind][] = [
  [/\.(png|jpe?g|webp|gif|avif)$/i, 'image'],
  [/\.(mp4|webm|mov|m4v)$/i, 'video'],
];

export function kindOf({ kind, contentType, path }: LibraryItem): VisualKind {
  const said = kind ?? contentType?.split('/')[0];
  if (said === 'image' || said === 'video') return said;
  if (said) return 'file';
  return EXTENSIONS.find(([pattern]) => pattern.test(path))?.[1] ?? 'file';
}

export function nameOf({ name, path }: LibraryItem): string {
  return name || path.slice(path.lastIndexOf('/') + 1);
}

export function describe(item: LibraryItem): string {
  return item.prompt || nameOf(item);
}

export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(bytes || 1) / 3)));
  const value = bytes / 1000 ** power;
  return `${value >= 100 || power === 0 ? Math.round(value) : value.toFixed(1)} ${units[power]}`;
}

export function formatDuration(seconds: number): string {
  const whole = Math.max(1, Math.round(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}

export function formatDate(iso: string): string {
  const date = new Date(iso);
  if (Number.isNaN(date.valueOf())) return iso;
  return date.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
}
