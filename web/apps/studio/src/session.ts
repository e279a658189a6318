import { getClient, type HeaderMap, type HeaderSource, subjectOf } from '@project/realtime/client';

const KEY = 'media-pipeline.token';
/** The service this page belongs to. */
export const HOME = { apiPrefix: '', serviceName: 'media-pipeline' };

export interface Session {
  /** Null when the token does not say. */
  user: string | null;
  /** True when the token was pasted and can be forgotten. */
  pasted: boolean;
  headers: HeaderSource;
}

interface DevelopmentToken {
  token: string;
  user: string;
}

/** Who we are: a pasted token, else the one a development service gives its own page, else nobody. */
export async function openSession(): Promise<Session | null> {
  const pasted = sessionStorage.getItem(KEY);
  if (pasted) return pastedSession(pasted);
  const given = await fetchToken();
  return given && developmentSession(given);
}

export function pasteToken(text: string): Session {
  const token = text.trim().replace(/^Bearer\s+/i, '');
  sessionStorage.setItem(KEY, token);
  return pastedSession(token);
}

/** Leave nothing of the user behind: neither the token nor what was shown and sent in their name. */
export function forgetToken() {
  sessionStorage.removeItem(KEY);
  getClient(HOME).setHeaders(undefined);
}

async function fetchToken(): Promise<DevelopmentToken | null> {
  const response = await fetch('/studio/token', { cache: 'no-store' });
  if (response.status === 404 || response.status === 403) return null;
  if (!response.ok) throw new Error(`The service answered ${response.status}.`);
  return (await response.json()) as DevelopmentToken;
}

function developmentSession(given: DevelopmentToken): Session {
  let token = given.token;
  return {
    user: given.user,
    pasted: false,
    async headers({ refresh }) {
      if (refresh) token = (await fetchToken())?.token ?? token;
      return bearer(token);
    },
  };
}

function pastedSession(token: string): Session {
  return { user: subjectOf(token) ?? null, pasted: true, headers: bearer(token) };
}

function bearer(token: string): HeaderMap {
  return { Authorization: `Bearer ${token}` };
}
