type Dropped = Pick<DataTransfer, 'items' | 'files'>;

/** Every file of a drop, also those inside of folders, in the order a person sees them. */
export async function readDropped({ items, files }: Dropped): Promise<File[]> {
  const plain = [...files];
  // The items are emptied as soon as the event is over, so they are asked before anything is awaited.
  const entries = [...(items ?? [])].map((item) => item.webkitGetAsEntry?.()).filter((one) => one);
  if (!entries.some((entry) => entry?.isDirectory)) return plain;
  const found = await Promise.all(entries.map((entry) => readEntry(entry as FileSystemEntry)));
  return found.flat();
}

async function readEntry(entry: FileSystemEntry): Promise<File[]> {
  if (entry.isFile) {
    const file = await new Promise<File | null>((resolve) =>
      (entry as FileSystemFileEntry).file(resolve, () => resolve(null)),
    );
    return file && !isHidden(file) ? [file] : [];
  }
  const inside = await readFolder((entry as FileSystemDirectoryEntry).createReader());
  return (await Promise.all(inside.map(readEntry))).flat();
}

/** A reader gives a hundred at a time, and an empty answer at the end. */
async function readFolder(reader: FileSystemDirectoryReader): Promise<FileSystemEntry[]> {
  const all: FileSystemEntry[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve) =>
      reader.readEntries(resolve, () => resolve([])),
    );
    if (some.length === 0) return all;
    all.push(...some);
  }
}

/** What systems leave in folders beside a person's files. */
export function isHidden({ name }: File): boolean {
  return name.startsWith('.') || name === 'Thumbs.db';
}
