import { type MediaClient, perClient } from './connection.js';
import type { MediaUsage } from './contract.js';
import type { ServiceError } from './errors.js';
import type { MediaEvent } from './events.js';
import { createStore, type ReadableStore } from './store.js';

export interface UsageState {
  readonly usage: MediaUsage | null;
  readonly error: Error | null;
}

export interface Usage extends ReadableStore<UsageState> {
  /** Read it and keep it true until the answer is called. */
  follow(): () => void;
  refetch(): Promise<void>;
}

const UNKNOWN: UsageState = { usage: null, error: null };

// An end of a job keeps or releases what was promised to it; a beginning promises.
const MOVES =
  /^(ready|reset|media_deleted|upload_started|job_(queued|cancelled)|.*_(complete|failed))$/;

/** The client's one view of how much its user keeps, and may keep. */
export const getUsage = /* @__PURE__ */ perClient(createUsage);

function createUsage({ transport, events }: MediaClient): Usage {
  const state = createStore<UsageState>(UNKNOWN);
  let reading: Promise<void> | undefined;
  let outdated = false;

  /** One request at a time; what happens meanwhile is read by one more. */
  function refetch(): Promise<void> {
    outdated = reading !== undefined;
    reading ??= read().finally(() => {
      reading = undefined;
      if (outdated) void refetch();
    });
    return reading;
  }

  async function read() {
    try {
      state.set({ usage: await transport.send<MediaUsage>('GET', '/media/usage'), error: null });
    } catch (error) {
      if ((error as ServiceError).code === 'aborted') return;
      state.set({ ...state.get(), error: error as Error });
    }
  }

  function hear({ type }: MediaEvent) {
    if (MOVES.test(type)) void refetch();
  }

  transport.onHandover(() => state.set(UNKNOWN));
  return {
    get: state.get,
    subscribe: state.subscribe,
    refetch,
    follow() {
      void refetch();
      return events.subscribe(hear);
    },
  };
}
