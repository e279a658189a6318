import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Job } from '../src/contract.js';

/** A small stand-in for the service, over real HTTP, with its history in memory. */
export interface TestService {
  url: string;
  /** Every request so far, as `METHOD /path`. */
  requests: string[];
  jobs: Map<string, Job>;
  publish(event: string, data: object, options?: { state?: boolean }): void;
  /** Break every open event stream without a word. */
  cut(): void;
  /** Lose the history, as a restart without a durable bus does. */
  forget(): void;
  close(): Promise<void>;
}

const STEPS = 10;

export async function startService({ pace = 2, token = 'secret' } = {}): Promise<TestService> {
  const streams = new Set<ServerResponse>();
  const requests: string[] = [];
  const jobs = new Map<string, Job>();
  let epoch = randomUUID();
  let history: string[] = [];

  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  function publish(event: string, data: object, { state = true } = {}) {
    const frame = `event: ${event}\ndata: ${JSON.stringify(data)}\n`;
    if (state) history.push(frame);
    const id = state ? `id: ${epoch}:${history.length}\n` : '';
    for (const stream of streams) stream.write(`${id}${frame}\n`);
  }

  async function answer(request: IncomingMessage, response: ServerResponse) {
    const route = `${request.method} ${request.url}`;
    requests.push(route);
    const body = await readBody(request);
    if (request.headers.authorization !== `Bearer ${token}`) return reply(response, 401, {});
    if (route === 'GET /events') return follow(request, response);
    if (route === 'GET /jobs') return reply(response, 200, { jobs: [...jobs.values()] });
    if (route === 'POST /generate/image') return reply(response, 202, { jobId: generate(body) });
    const job = jobs.get(request.url?.split('/')[2] ?? '');
    return job ? reply(response, 200, job) : reply(response, 404, { title: 'Not Found' });
  }

  function follow(request: IncomingMessage, response: ServerResponse) {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    streams.add(response);
    response.on('close', () => streams.delete(response));
    const [said, offset] = String(request.headers['last-event-id'] ?? '').split(':');
    if (said === epoch) return replay(response, Number(offset));
    const begin = `event: ${said ? 'reset' : 'ready'}\ndata: {}\n\n`;
    response.write(`id: ${epoch}:${history.length}\n${begin}`);
  }

  function replay(response: ServerResponse, offset: number) {
    response.write(': ok\n\n');
    history.slice(offset).forEach((frame, index) => {
      response.write(`id: ${epoch}:${offset + index + 1}\n${frame}\n`);
    });
  }

  function generate(request: Record<string, unknown>): string {
    const jobId = randomUUID();
    const createdAt = new Date().toISOString();
    const unknown = { progress: null, message: '', attempts: [] };
    jobs.set(jobId, {
      jobId,
      kind: 'generate.image',
      state: 'queued',
      ...unknown,
      createdAt,
      request,
    });
    publish('job_queued', { jobId });
    void work(jobId);
    return jobId;
  }

  async function work(jobId: string) {
    await wait(pace);
    publish('generation_started', { jobId });
    for (let step = 1; step <= STEPS; step += 1) {
      await wait(pace);
      const progress = (step / STEPS) * 100;
      publish(
        'generation_progress',
        { jobId, progress, message: `step ${step}` },
        { state: false },
      );
    }
    const result = { items: [], provider: 'test', model: 'none', seed: 1 };
    Object.assign(jobs.get(jobId) ?? {}, { state: 'succeeded', progress: 100, result });
    publish('generation_complete', { jobId, result });
  }

  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    jobs,
    publish,
    cut() {
      for (const stream of streams) stream.destroy();
    },
    forget() {
      epoch = randomUUID();
      history = [];
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function reply(response: ServerResponse, status: number, body: unknown) {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

async function readBody(request: IncomingMessage): Promise<Record<string, unknown>> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return parts.length ? JSON.parse(Buffer.concat(parts).toString()) : {};
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
