const UNITS = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'];

/** Bytes in the largest unit that keeps a figure before the point, in the reader's own way of writing. */
export function formatSize(bytes: number): string {
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log10(bytes || 1) / 3));
  const style = {
    style: 'unit',
    unit: UNITS[power],
    maximumFractionDigits: power ? 1 : 0,
  } as const;
  return new Intl.NumberFormat(undefined, style).format(bytes / 1000 ** power);
}
