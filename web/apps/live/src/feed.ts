/** The stream of events: frames as `GET /events` sends them, to whoever listens. */
export interface Feed {
  tell(event: string, data: object): void;
  /** Answer a request for the stream; it ends when the request is aborted. */
  open(signal: AbortSignal | null | undefined): Response;
}

export function createFeed(): Feed {
  const listeners = new Set<ReadableStreamDefaultController<Uint8Array>>();
  const encoder = new TextEncoder();
  let told = 0;

  function write(event: string, data: object, id?: number): Uint8Array {
    const place = id === undefined ? '' : `id: live-${id}\n`;
    return encoder.encode(`${place}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  return {
    tell(event, data) {
      told += 1;
      for (const listener of listeners) listener.enqueue(write(event, data, told));
    },
    open(signal) {
      const body = new ReadableStream<Uint8Array>({
        start(listener) {
          listeners.add(listener);
          listener.enqueue(write('ready', {}));
          signal?.addEventListener('abort', () => {
            if (listeners.delete(listener)) listener.error(signal.reason);
          });
        },
      });
      return new Response(body, { headers: { 'Content-Type': 'text/event-stream' } });
    },
  };
}
