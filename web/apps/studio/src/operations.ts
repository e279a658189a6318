import { getClient, type ServiceOptions } from '@project/realtime';

export interface Usage {
  bytes: number;
  objects: number;
  quotaBytes: number | null;
  quotaObjects: number | null;
}

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

function send<T>(service: ServiceOptions, method: string, path: string, body?: object): Promise<T> {
  return getClient(service).transport.send<T>(method, path, { body });
}

export function readUsage(service: ServiceOptions): Promise<Usage> {
  return send(service, 'GET', '/media/usage');
}

export function rename(
  service: ServiceOptions,
  path: string,
  change: { name?: string; alt?: string },
) {
  const place = path.split('/').map(encodeURIComponent).join('/');
  return send(service, 'PATCH', `/media/${place}`, change);
}

export function importFrom(service: ServiceOptions, url: string) {
  return send<{ jobId: string }>(service, 'POST', '/media/import', { url });
}

export function process(service: ServiceOptions, path: string, operation: object) {
  return send<{ jobId: string }>(service, 'POST', '/media/process', { path, operation });
}
