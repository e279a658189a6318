import { createEventStream, type EventStream, type StreamOptions } from './stream.js';
import { createTransport, type HeaderSource, type Transport } from './transport.js';

export interface ServiceOptions {
  /** Base of every request; empty for the page's own origin. */
  apiPrefix: string;
  /** Names the service; clients of one prefix and service share one event stream. */
  serviceName: string;
  headers?: HeaderSource | undefined;
}

/** The way to one service: its requests and its events. Everything else is built on these two. */
export interface MediaClient {
  readonly transport: Transport;
  readonly events: EventStream;
  /** Go on with other headers; the stream reconnects when they say something else. */
  setHeaders(headers: HeaderSource | undefined): void;
}

const clients = new Map<string, MediaClient>();

/** A client of its own, shared with nobody. */
export function createClient(options: ServiceOptions, stream: StreamOptions = {}): MediaClient {
  const transport = createTransport(options.apiPrefix, options.headers);
  const events = createEventStream(transport, stream);
  return {
    transport,
    events,
    setHeaders(headers) {
      if (transport.setHeaders(headers)) events.reconnect();
    },
  };
}

/** The page's one client of a service. On a server every call makes its own: tokens are not shared. */
export function getClient(options: ServiceOptions): MediaClient {
  if (typeof document === 'undefined') return createClient(options);
  const key = JSON.stringify([options.apiPrefix, options.serviceName]);
  const known = clients.get(key);
  if (known) return known;
  const client = createClient(options);
  clients.set(key, client);
  return client;
}

/** Make one of something for each client, when it is first asked for. */
export function perClient<T>(create: (client: MediaClient) => T): (client: MediaClient) => T {
  const made = new WeakMap<MediaClient, T>();
  return (client) => {
    const known = made.get(client) ?? create(client);
    made.set(client, known);
    return known;
  };
}
