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
  thumbnails?: readonly { url: string; width: number }[] | null;
  /** Base64, as ThumbHash packs it; its mean colour stands in for the picture until that is there. */
  thumbhash?: string | null;
  alt?: string | null;
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

/** The mean colour of a ThumbHash: lightness and two colour differences stand in its first 18 bits. */
export function tintOf({ thumbhash }: LibraryItem): string | undefined {
  if (!thumbhash) return undefined;
  const [low = 0, middle = 0, high = 0] = [...atob(thumbhash.slice(0, 4))].map((c) =>
    c.charCodeAt(0),
  );
  const header = low | (middle << 8) | (high << 16);
  const lightness = (header & 63) / 63;
  const yellowBlue = ((header >> 6) & 63) / 31.5 - 1;
  const redGreen = ((header >> 12) & 63) / 31.5 - 1;
  const blue = lightness - (2 / 3) * yellowBlue;
  const red = (3 * lightness - blue + redGreen) / 2;
  const parts = [red, red - redGreen, blue].map((part) =>
    Math.round(255 * Math.min(1, Math.max(0, part))),
  );
  return `rgb(${parts.join(' ')})`;
}

const UNITS = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'];

/** Bytes in the largest unit that keeps a figure before the point, in the reader's own way of writing. */
export function formatBytes(bytes: number): string {
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log10(bytes || 1) / 3));
  const value = bytes / 1000 ** power;
  const options = {
    style: 'unit',
    unit: UNITS[power],
    unitDisplay: power ? 'short' : 'long',
    maximumFractionDigits: power && value < 100 ? 1 : 0,
  } as const;
  return new Intl.NumberFormat(undefined, options).format(value);
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
