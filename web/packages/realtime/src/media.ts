import type { MediaChange, MediaDeletion, MediaFilter, MediaItem } from './contract.js';
import type { ServiceError } from './errors.js';
import type { Transport } from './transport.js';

/** As many paths as one request may name. */
const BATCH = 1_000;

/** Delete one item; one that is gone already is no error. */
export async function removeItem(transport: Transport, path: string): Promise<void> {
  await transport.send('DELETE', routeOf(path)).catch((error: ServiceError) => {
    if (error.status !== 404) throw error;
  });
}

/** Delete any number of items. Once some are gone, those of a request that fails are in `failed`. */
export async function removeItems(
  transport: Transport,
  paths: readonly string[],
): Promise<MediaDeletion> {
  const told: MediaDeletion[] = [];
  for (let start = 0; start < paths.length; start += BATCH) {
    const batch = paths.slice(start, start + BATCH);
    const answer = askToDelete(transport, { paths: batch });
    told.push(await (told.length > 0 ? answer.catch(asFailed(batch)) : answer));
  }
  return sum(told);
}

/** Delete all that a listing with this filter would show; ends early where nothing could be deleted. */
export async function removeMatching(
  transport: Transport,
  filter: MediaFilter,
): Promise<MediaDeletion> {
  const told: MediaDeletion[] = [];
  let last: MediaDeletion;
  do {
    last = await askToDelete(transport, filter);
    told.push(last);
  } while (last.more && last.deleted.length > 0);
  return { ...sum(told), more: last.more };
}

/** Give an item another name or alt text. */
export function changeItem(transport: Transport, path: string, change: MediaChange) {
  return transport.send<MediaItem>('PATCH', routeOf(path), { body: change });
}

function askToDelete(transport: Transport, body: object): Promise<MediaDeletion> {
  return transport.send<MediaDeletion>('POST', '/media/delete', { body });
}

function asFailed(paths: readonly string[]) {
  return ({ code, message }: ServiceError): MediaDeletion => ({
    deleted: [],
    failed: paths.map((path) => ({ path, code, error: message })),
    more: false,
  });
}

function sum(told: readonly MediaDeletion[]): MediaDeletion {
  return {
    deleted: told.flatMap(({ deleted }) => deleted),
    failed: told.flatMap(({ failed }) => failed),
    more: false,
  };
}

function routeOf(path: string): string {
  return `/media/${path.split('/').map(encodeURIComponent).join('/')}`;
}
