import { vi } from 'vitest';

interface Connection {
  headers: Record<string, string>;
  send(text: string): Promise<void>;
  end(): void;
}

/** A fetch whose answers are streams that the test writes to. */
export function stubEventSource() {
  const connections: Connection[] = [];
  const refusals: { status: number; headers?: Record<string, string> }[] = [];
  const fetch = vi.fn(async (_url: string, init: RequestInit) => {
    const refusal = refusals.shift();
    if (refusal)
      return new Response('', { status: refusal.status, headers: refusal.headers ?? {} });
    let controller!: ReadableStreamDefaultController<Uint8Array>;
    const body = new ReadableStream<Uint8Array>({
      start(made) {
        controller = made;
      },
    });
    init.signal?.addEventListener('abort', () => {
      try {
        controller.error(new DOMException('aborted', 'AbortError'));
      } catch {
        // Already closed by the test.
      }
    });
    connections.push({
      headers: init.headers as Record<string, string>,
      async send(text) {
        controller.enqueue(new TextEncoder().encode(text));
        await vi.advanceTimersByTimeAsync(0);
      },
      end: () => controller.close(),
    });
    return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
  });
  vi.stubGlobal('fetch', fetch);
  return {
    fetch,
    connections,
    refuse: (status: number, headers?: Record<string, string>) =>
      void refusals.push({ status, ...(headers && { headers }) }),
    last: () => connections[connections.length - 1] as Connection,
  };
}

type Answer = object | (() => Response | Promise<Response>);

/** A fetch that answers by route; what it was asked is kept. */
export function stubService(routes: Record<string, Answer>) {
  const calls: { route: string; body: unknown; headers: Record<string, string> }[] = [];
  const fetch = vi.fn(async (url: string, init: RequestInit = {}) => {
    const route = `${init.method ?? 'GET'} ${url}`;
    const body = init.body ? JSON.parse(String(init.body)) : undefined;
    calls.push({ route, body, headers: init.headers as Record<string, string> });
    init.signal?.throwIfAborted();
    const answer = routes[route];
    if (typeof answer === 'function') return answer();
    return answer ? Response.json(answer) : refusal(404, 'not_found', 'There is no such thing.');
  });
  vi.stubGlobal('fetch', fetch);
  return { calls, routes, routesAsked: () => calls.map(({ route }) => route) };
}

export function refusal(status: number, code: string, detail: string): Response {
  const problem = { type: 'about:blank', title: code, status, detail, code };
  return Response.json(problem, {
    status,
    headers: { 'content-type': 'application/problem+json' },
  });
}

/** An event stream the test speaks through. */
export function createTestEvents() {
  const listeners = new Set<(event: never) => void>();
  return {
    listeners,
    status: { get: () => 'open' as const, subscribe: () => () => undefined },
    subscribe(listener: (event: never) => void) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    reconnect: vi.fn(),
    say(type: string, data: object = {}) {
      for (const listener of [...listeners]) listener({ type, data } as never);
    },
  };
}

/** A token as the service reads it; `more` makes it another token of the same user. */
export function tokenOf(sub: string, more: object = {}): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'HS256' })}.${part({ sub, ...more })}.signature`;
}

export function bearerOf(sub: string, more?: object) {
  return { Authorization: `Bearer ${tokenOf(sub, more)}` };
}

export function fileOf(name = 'sea.png', size = 1000, type = 'image/png'): File {
  return new File([new Uint8Array(size)], name, { type });
}
