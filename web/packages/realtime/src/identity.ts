import { aborted } from './errors.js';

/** The headers of one request. */
export type HeaderMap = Readonly<Record<string, string>>;

/** Who a transport speaks for, and when that becomes somebody else. */
export interface Identity {
  /** Counts the users, so that an answer to one is never given to the next. */
  tenure(): number;
  /** Take a number before asking for headers: of two answers the one asked for later counts. */
  begin(): number;
  /** Speak as these headers from now on; true at a handover. Throws for a user who has left meanwhile. */
  meet(headers: HeaderMap, turn: number): boolean;
  onHandover(listener: () => void): () => void;
}

export function createIdentity(): Identity {
  const heirs = new Set<() => void>();
  let user = '';
  let tenure = 0;
  let turns = 0;
  let latest = 0;
  return {
    tenure: () => tenure,
    begin() {
      turns += 1;
      return turns;
    },
    meet(headers, turn) {
      const last = user;
      const next = identify(headers);
      if (turn < latest && next !== last) throw aborted();
      latest = Math.max(latest, turn);
      user = next;
      if (!last || last === next) return false;
      tenure += 1;
      // The stream is the oldest heir and comes last: it speaks to stores that have already forgotten.
      for (const forget of [...heirs].reverse()) forget();
      return true;
    },
    onHandover(listener) {
      heirs.add(listener);
      return () => void heirs.delete(listener);
    },
  };
}

/** The `sub` of a JWT, unverified: enough to tell one user from the next, never to trust one. */
export function subjectOf(token: string): string | undefined {
  try {
    const payload = token.split('.')[1] ?? '';
    const { sub } = JSON.parse(atob(payload.replaceAll('-', '+').replaceAll('_', '/')));
    return typeof sub === 'string' ? sub : undefined;
  } catch {
    return undefined;
  }
}

// The token's subject, else the credentials themselves; empty for nobody.
function identify(headers: HeaderMap): string {
  const found = Object.entries(headers).find(([name]) => name.toLowerCase() === 'authorization');
  const credentials = found?.[1] ?? '';
  return subjectOf(credentials) ?? credentials;
}
