export interface BinState {
  /** Deleted for the eye, and still to be had back. */
  readonly pending: readonly string[];
  /** Sent to be deleted, and hidden until the list has lost them too. */
  readonly sent: ReadonlySet<string>;
  /** What the last deletion could not delete; those are shown again. */
  readonly refused: readonly string[];
}

/** Delete these; answers the paths that could not be deleted, or rejects when none could. */
export type Deliver = (paths: readonly string[]) => Promise<readonly string[]>;

/** A bin that is emptied some time after something was thrown in, unless it is taken out again. */
export interface Bin {
  get(): BinState;
  subscribe(listener: () => void): () => void;
  put(paths: readonly string[]): void;
  undo(): void;
  /** Empty it now. */
  flush(): void;
  /** Let the time stand still, and begin again. */
  hold(): void;
  resume(): void;
  /** These are in the list now: forget what it has lost. */
  settle(present: ReadonlySet<string>): void;
  dismiss(): void;
}

const EMPTY: BinState = { pending: [], sent: new Set(), refused: [] };

export function createBin(settings: () => { deliver: Deliver; after: number }): Bin {
  const listeners = new Set<() => void>();
  let state = EMPTY;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function change(next: Partial<BinState>) {
    state = { ...state, ...next };
    for (const listener of listeners) listener();
  }

  function hold() {
    clearTimeout(timer);
    timer = undefined;
  }

  function resume() {
    hold();
    const { after } = settings();
    if (state.pending.length === 0) return;
    if (after > 0) timer = setTimeout(flush, after);
    else flush();
  }

  function flush() {
    hold();
    const paths = state.pending;
    if (paths.length === 0) return;
    change({ pending: [], sent: new Set([...state.sent, ...paths]) });
    settings()
      .deliver(paths)
      .catch(() => paths)
      .then((refused) => {
        if (refused.length > 0) change({ sent: without(state.sent, refused), refused });
      });
  }

  return {
    get: () => state,
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    put(paths) {
      change({ pending: [...new Set([...state.pending, ...paths])], refused: [] });
      resume();
    },
    undo() {
      hold();
      change({ pending: [] });
    },
    flush,
    hold,
    resume,
    settle(present) {
      const lost = [...state.sent].filter((path) => !present.has(path));
      if (lost.length > 0) change({ sent: without(state.sent, lost) });
    },
    dismiss: () => change({ refused: [] }),
  };
}

function without(all: ReadonlySet<string>, some: readonly string[]): ReadonlySet<string> {
  const left = new Set(all);
  for (const path of some) left.delete(path);
  return left;
}
