import type { ServiceOptions } from '@project/realtime';

interface Deleted {
  failed: { path: string }[];
}

/** Browsers let this much be under way when a page has gone. */
const KEPT_ALIVE = 60_000;

/** Delete for good, also when the page is just being left; answers what could not be. */
export async function deleteMany(
  service: ServiceOptions,
  paths: readonly string[],
): Promise<string[]> {
  const body = JSON.stringify({ paths });
  const ask = async (refresh: boolean) => {
    const { headers } = service;
    const own = typeof headers === 'function' ? await headers({ refresh }) : headers;
    return fetch('/media/delete', {
      method: 'POST',
      headers: { ...own, 'Content-Type': 'application/json' },
      body,
      keepalive: body.length < KEPT_ALIVE,
    });
  };
  let response = await ask(false);
  if (response.status === 401) response = await ask(true);
  if (!response.ok) throw new Error(`The service answered ${response.status}.`);
  const { failed } = (await response.json()) as Deleted;
  return failed.map(({ path }) => path);
}
