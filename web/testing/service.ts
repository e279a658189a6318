import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import type { Job, MediaItem } from '@project/realtime/client';
import { paintPng } from './picture.ts';

/** A small stand-in for the service, over real HTTP, with its history in memory. */
export interface TestService {
  url: string;
  /** Every request so far, as `METHOD /path`. */
  requests: string[];
  jobs: Map<string, Job>;
  items: MediaItem[];
  /** Answer the next request to this `METHOD /path` with a status, once. */
  refuse(route: string, status: number, headers?: Record<string, string>): void;
  publish(event: string, data: object, options?: { state?: boolean }): void;
  /** Break every open event stream without a word. */
  cut(): void;
  /** Lose the history, as a restart without a durable bus does. */
  forget(): void;
  close(): Promise<void>;
}

interface ServiceOptions {
  port?: number;
  /** Milliseconds between two steps of a generation. */
  pace?: number;
  /** Folder of a page to serve at `/`. */
  page?: string;
  token?: string;
}

const TYPES: Record<string, string> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
};

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' blob:",
  "media-src 'self' blob:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

export async function startService({
  port = 0,
  pace = 5,
  page,
  token = 'secret',
}: ServiceOptions = {}) {
  const streams = new Set<ServerResponse>();
  const objects = new Map<string, { type: string; bytes: Buffer }>();
  const refusals = new Map<string, { status: number; headers: Record<string, string> }[]>();
  const timers = new Set<NodeJS.Timeout>();
  let epoch = randomUUID();
  let history: string[] = [];

  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const service: TestService = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: [],
    jobs: new Map(),
    items: [],
    refuse: (route, status, headers = {}) =>
      void refusals.set(route, [...(refusals.get(route) ?? []), { status, headers }]),
    publish,
    cut: () => {
      for (const stream of streams) stream.destroy();
    },
    forget() {
      epoch = randomUUID();
      history = [];
    },
    async close() {
      for (const timer of timers) clearTimeout(timer);
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return service;

  function publish(event: string, data: object, { state = true } = {}) {
    const frame = `event: ${event}\ndata: ${JSON.stringify(data)}\n`;
    if (state) history.push(frame);
    const id = state ? `id: ${epoch}:${history.length}\n` : '';
    for (const stream of streams) stream.write(`${id}${frame}\n`);
  }

  function openStream(request: IncomingMessage, response: ServerResponse) {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    streams.add(response);
    response.on('close', () => streams.delete(response));
    const [said, offset] = String(request.headers['last-event-id'] ?? '').split(':');
    const here = `id: ${epoch}:${history.length}\n`;
    if (said === epoch) {
      history.slice(Number(offset)).forEach((frame, index) => {
        response.write(`id: ${epoch}:${Number(offset) + index + 1}\n${frame}\n`);
      });
    } else response.write(`${here}event: ${said ? 'reset' : 'ready'}\ndata: {}\n\n`);
    response.write(': ping\n\n');
  }

  async function answer(request: IncomingMessage, response: ServerResponse) {
    const { pathname, searchParams } = new URL(request.url ?? '/', service.url);
    const route = `${request.method} ${pathname}`;
    service.requests.push(route);
    const body = await readBody(request);
    const refused = refusals.get(route)?.shift();
    if (refused) return problem(response, refused.status, 'refused', refused.headers);
    if (pathname.startsWith('/storage/')) return store(request, response, pathname, body);
    if (route === 'GET /studio/token') return json(response, 200, { token, user: 'dev' });
    if (page && request.method === 'GET' && !isApi(pathname)) return file(response, page, pathname);
    if (request.headers.authorization !== `Bearer ${token}`)
      return problem(response, 401, 'unauthorized');
    if (pathname === '/events') return openStream(request, response);
    return call(
      route,
      pathname,
      searchParams,
      body.length ? JSON.parse(body.toString()) : {},
      response,
    );
  }

  function call(
    route: string,
    pathname: string,
    search: URLSearchParams,
    body: Record<string, unknown>,
    response: ServerResponse,
  ) {
    const [, first, second, third] = pathname.split('/');
    if (route === 'GET /providers') return json(response, 200, { providers });
    if (route === 'GET /jobs')
      return json(response, 200, { jobs: [...service.jobs.values()].reverse() });
    if (first === 'generate' && second)
      return json(response, 202, { jobId: generate(second, body) });
    if (route === 'POST /media/upload/init') return json(response, 200, init(body));
    if (route === 'POST /media/upload/complete')
      return json(response, 200, complete(String(body.objectPath)));
    if (route === 'GET /media')
      return json(response, 200, { items: filter(search), nextCursor: null });
    if (route.startsWith('DELETE /media/'))
      return drop(decodeURIComponent(pathname.slice(7)), response);
    const job = service.jobs.get(second ?? '');
    if (first !== 'jobs' || !job) return problem(response, 404, 'not_found');
    if (third === 'cancel') return cancel(job, response);
    if (third === 'retry')
      return json(response, 202, {
        jobId: generate(job.kind.replace('generate.', ''), job.request ?? {}),
      });
    return json(response, 200, job);
  }

  function generate(kind: string, body: Record<string, unknown>): string {
    const job = createJob(`generate.${kind}`, body);
    publish('job_queued', { jobId: job.jobId });
    step(job, 0, Number(body.n ?? 1));
    return job.jobId;
  }

  function createJob(kind: string, request: Record<string, unknown>): Job {
    const jobId = randomUUID();
    const createdAt = new Date().toISOString();
    const job: Job = {
      jobId,
      kind,
      state: 'queued',
      progress: null,
      message: null,
      attempts: [],
      createdAt,
      request,
    };
    service.jobs.set(jobId, job);
    return job;
  }

  function step(job: Job, done: number, count: number) {
    const timer = setTimeout(() => {
      timers.delete(timer);
      if (job.state === 'cancelled') return;
      if (done === 0)
        Object.assign(job, { state: 'running' }) &&
          publish('generation_started', { jobId: job.jobId });
      if (String(job.request?.prompt).includes('fail') && done === 4) return fail(job);
      if (done === 10) return finish(job, count);
      advance(job, done + 1, count);
      step(job, done + 1, count);
    }, pace);
    timers.add(timer);
  }

  function advance(job: Job, done: number, count: number) {
    Object.assign(job, { progress: done * 10, message: `Step ${done} of 10` });
    const { jobId, progress, message } = job;
    publish('generation_progress', { jobId, progress, message }, { state: false });
    if (done % 3 !== 0) return;
    for (let index = 0; index < count; index += 1) {
      const url = put(
        `derived/${jobId}_${index}_${done}.png`,
        paintPng({ hue: hueOf(job, index), done: done / 10 }),
      );
      publish('generation_preview', { jobId, index, url }, { state: false });
    }
  }

  function finish(job: Job, count: number) {
    const made = Array.from({ length: count }, (_, index) => {
      const path = `media/dev/images/${job.jobId}_${index}.png`;
      const bytes = paintPng({ hue: hueOf(job, index) });
      return createItem(path, bytes, 'image/png', 'generated', String(job.request?.prompt ?? ''));
    });
    service.items.unshift(...made);
    const result = { items: made, provider: 'test', model: 'gradient', seed: 1 };
    Object.assign(job, { state: 'succeeded', progress: 100, result });
    publish('generation_complete', { jobId: job.jobId, result });
  }

  function fail(job: Job) {
    const failure = {
      error: 'The model ran out of memory. Ask for a smaller picture.',
      code: 'failed',
      retryable: true,
    };
    Object.assign(job, { state: 'failed', error: failure });
    publish('generation_failed', { jobId: job.jobId, ...failure });
  }

  function cancel(job: Job, response: ServerResponse) {
    job.state = 'cancelled';
    publish('job_cancelled', { jobId: job.jobId });
    json(response, 202, { jobId: job.jobId });
  }

  function createItem(
    path: string,
    bytes: Buffer,
    contentType: string,
    source: MediaItem['source'],
    prompt?: string,
  ) {
    const kind = contentType.startsWith('video/') ? 'video' : 'image';
    const name = path.slice(path.lastIndexOf('/') + 1);
    const createdAt = new Date().toISOString();
    const url = put(path, bytes, contentType);
    const item: MediaItem = {
      path,
      url,
      contentType,
      size: bytes.length,
      createdAt,
      kind,
      source,
      name,
      prompt,
    };
    return kind === 'image' && source === 'generated' ? { ...item, width: 320, height: 320 } : item;
  }

  function init(body: Record<string, unknown>) {
    const job = createJob('upload', body);
    publish('upload_started', { jobId: job.jobId });
    const objectPath = `media/dev/${job.jobId}/${body.filename}`;
    const expiresAt = new Date(Date.now() + 900_000).toISOString();
    const headers = { 'Content-Type': String(body.contentType), 'X-Size': String(body.size) };
    return {
      uploadURL: `/storage/${encodeURI(objectPath)}`,
      objectPath,
      jobId: job.jobId,
      headers,
      expiresAt,
    };
  }

  function complete(objectPath: string) {
    const job = service.jobs.get(objectPath.split('/')[2] ?? '');
    const object = objects.get(`/storage/${objectPath}`);
    if (!job || !object) return {};
    const item = createItem(objectPath, object.bytes, object.type, 'upload');
    const result = { url: item.url, path: item.path };
    if (job.state !== 'succeeded') service.items.unshift(item);
    Object.assign(job, { state: 'succeeded', progress: 100, result });
    setTimeout(() => publish('upload_complete', { jobId: job.jobId, result }), pace);
    return { ...result, jobId: job.jobId };
  }

  function put(path: string, bytes: Buffer, type = 'image/png'): string {
    objects.set(`/storage/${path}`, { type, bytes });
    return `${service.url}/storage/${encodeURI(path)}`;
  }

  function store(
    request: IncomingMessage,
    response: ServerResponse,
    pathname: string,
    body: Buffer,
  ) {
    const path = decodeURI(pathname);
    if (request.method === 'PUT') {
      if (request.headers.authorization) return problem(response, 400, 'token_sent_to_storage');
      objects.set(path, { type: String(request.headers['content-type']), bytes: body });
      return json(response, 200, {});
    }
    const object = objects.get(path);
    if (!object) return problem(response, 404, 'not_found');
    response.writeHead(200, { 'content-type': object.type, 'content-length': object.bytes.length });
    response.end(object.bytes);
  }

  function filter(search: URLSearchParams): MediaItem[] {
    const [kind, q] = [search.get('kind'), search.get('q')];
    return service.items.filter(
      (item) => (!kind || item.kind === kind) && (!q || item.prompt?.includes(q)),
    );
  }

  function drop(path: string, response: ServerResponse) {
    service.items = service.items.filter((item) => item.path !== path);
    publish('media_deleted', { id: randomUUID(), paths: [path] });
    response.writeHead(204).end();
  }
}

const providers = [
  {
    provider: 'test',
    model: 'gradient',
    kind: 'image',
    label: 'Gradient',
    aspectRatios: ['1:1', '16:9', '9:16'],
    nMax: 4,
    progress: 'steps',
    seed: true,
    previews: true,
  },
  {
    provider: 'test',
    model: 'film',
    kind: 'video',
    label: 'Film',
    secondsMax: 6,
    defaultSeconds: 3,
    nMax: 1,
    progress: 'frames',
    seed: true,
    previews: false,
  },
];

function hueOf(job: Job, index: number): number {
  return (Number.parseInt(job.jobId.slice(0, 4), 16) + index * 70) % 360;
}

function isApi(pathname: string): boolean {
  return /^\/(events|generate|jobs|media|providers)(\/|$)/.test(pathname);
}

function file(response: ServerResponse, folder: string, pathname: string) {
  const path = join(folder, pathname === '/' ? 'index.html' : pathname);
  if (!existsSync(path)) return problem(response, 404, 'not_found');
  const type = TYPES[extname(path)] ?? 'application/octet-stream';
  response.writeHead(200, { 'content-type': type, 'content-security-policy': POLICY });
  response.end(readFileSync(path));
}

function json(response: ServerResponse, status: number, body: unknown) {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

function problem(
  response: ServerResponse,
  status: number,
  code: string,
  headers: Record<string, string> = {},
) {
  response.writeHead(status, { 'content-type': 'application/problem+json', ...headers });
  response.end(
    JSON.stringify({ type: 'about:blank', title: code, status, detail: `Refused: ${code}.`, code }),
  );
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts);
}
