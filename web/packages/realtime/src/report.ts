import type { UploadCount, UploadTicket } from './contract.js';
import type { Transport } from './transport.js';

const PACE = 1_000;

/**
 * Tell the service how far the browser is, for the user's other tabs: at most once a second, one at a
 * time, and no more once it was refused. An address of the service itself counts its own bytes.
 */
export function createReport(transport: Transport, ticket: UploadTicket, total: number) {
  const { objectPath, uploadURL } = ticket;
  let next = originOf(transport, uploadURL) === originOf(transport, '/') ? Infinity : 0;
  return (loaded: number) => {
    const now = Date.now();
    next ||= now + PACE;
    if (now < next || loaded >= total) return;
    next = Infinity;
    const body: UploadCount = { objectPath, loaded, total };
    void transport.send('POST', '/media/upload/progress', { body }).then(
      () => {
        next = Date.now() + PACE;
      },
      () => undefined,
    );
  };
}

function originOf(transport: Transport, url: string): string {
  return new URL(transport.resolve(url), globalThis.location?.href ?? 'http://localhost').origin;
}
