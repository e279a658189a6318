import { useMemo, useState } from 'react';

interface Chosen {
  /** Where a range begins. */
  anchor: string | null;
  /** What was selected before the range. */
  base: ReadonlySet<string>;
  selected: ReadonlySet<string>;
}

const NONE: Chosen = { anchor: null, base: new Set(), selected: new Set() };

export interface Selection {
  /** Selected and still there, in the order of the list. */
  paths: readonly string[];
  has(path: string): boolean;
  toggle(path: string): void;
  /** Select from where the last choice was made to here. */
  extend(path: string, from: string): void;
  all(): void;
  clear(): void;
}

/** Which of the listed paths are selected; newcomers never are by themselves. */
export function useSelection(
  keys: readonly string[],
  onChange?: (paths: readonly string[]) => void,
): Selection {
  const [chosen, setChosen] = useState(NONE);
  const paths = useMemo(
    () => (chosen.selected.size === 0 ? [] : keys.filter((key) => chosen.selected.has(key))),
    [keys, chosen],
  );
  const choose = (next: Chosen) => {
    setChosen(next);
    onChange?.(keys.filter((key) => next.selected.has(key)));
  };
  return {
    paths,
    has: (path) => chosen.selected.has(path),
    toggle(path) {
      const selected = new Set(paths);
      if (!selected.delete(path)) selected.add(path);
      choose({ anchor: path, base: selected, selected });
    },
    extend(path, from) {
      const anchor = keys.includes(chosen.anchor ?? '') ? (chosen.anchor as string) : from;
      const [first, last] = [keys.indexOf(anchor), keys.indexOf(path)].sort((a, b) => a - b);
      const range = keys.slice(first, (last as number) + 1);
      choose({ ...chosen, anchor, selected: new Set([...chosen.base, ...range]) });
    },
    all: () => choose({ anchor: null, base: new Set(keys), selected: new Set(keys) }),
    clear: () => choose(NONE),
  };
}
