import type { Feed } from './feed.ts';
import { BANDS, beginPainting } from './picture.ts';
import { keep, type Shelf } from './shelf.ts';

/** A job's record, as `GET /jobs/{jobId}` answers it. */
export interface Job {
  jobId: string;
  kind: string;
  state: 'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled';
  progress: number | null;
  message: string;
  attempts: object[];
  createdAt: string;
  finishedAt?: string;
  result?: object;
  error?: object;
  retryOf?: string;
  request: { [name: string]: unknown };
}

export interface Work {
  feed: Feed;
  shelf: Shelf;
  jobs: Map<string, Job>;
}

const PAUSE = 350;

/** Keep a job, tell of it and begin; the answer is its id. */
export function begin(work: Work, kind: string, request: Job['request'], retryOf?: string) {
  const job: Job = {
    jobId: crypto.randomUUID(),
    kind,
    state: 'queued',
    progress: null,
    message: '',
    attempts: [],
    createdAt: new Date().toISOString(),
    request,
    ...(retryOf && { retryOf }),
  };
  work.jobs.set(job.jobId, job);
  work.feed.tell('job_queued', { jobId: job.jobId });
  if (kind.startsWith('generate.')) void run(work, job, 'generation', () => generate(work, job));
  if (kind === 'process') void run(work, job, 'process', () => copy(work, job));
  return job;
}

/** End a job that has not ended. */
export function cancel({ feed }: Work, job: Job) {
  job.state = 'cancelled';
  job.finishedAt = new Date().toISOString();
  feed.tell('job_cancelled', { jobId: job.jobId });
}

export function isOver({ state }: Job): boolean {
  return state !== 'queued' && state !== 'running';
}

/** Look into a file that was sent, and end its job with the item. */
export function ingest(work: Work, job: Job, name: string, file: Blob) {
  return run(work, job, 'upload', async () => {
    const [kind] = file.type.split('/');
    if (kind !== 'image' && kind !== 'video')
      return fail(work, job, 'upload_failed', `${name} is neither a picture nor a film.`);
    const size = kind === 'image' ? await measure(file) : {};
    const item = keep(work.shelf, {
      blob: file,
      name,
      source: 'upload',
      jobId: job.jobId,
      ...size,
    });
    succeed(work, job, 'upload_complete', { url: item.url, path: item.path, item });
  });
}

async function run({ feed }: Work, job: Job, family: string, steps: () => Promise<void>) {
  await pause(PAUSE);
  if (isOver(job)) return;
  job.state = 'running';
  feed.tell(`${family}_started`, { jobId: job.jobId });
  await steps();
}

async function generate(work: Work, job: Job) {
  const prompt = String(job.request.prompt ?? '');
  const [wanted, seed] = [Number(job.request.n ?? 1), Number(job.request.seed ?? Date.now() % 1e6)];
  const items = [];
  for (let index = 0; index < wanted; index += 1) {
    const painting = beginPainting(prompt, seed + index);
    for (let band = painting.paint(); band < BANDS; band = painting.paint()) {
      await pause(PAUSE);
      if (isOver(job)) return;
      advance(work, job, (index * BANDS + band) / (wanted * BANDS), `step ${band} of ${BANDS}`);
      const url = URL.createObjectURL(await painting.save());
      work.feed.tell('generation_preview', { jobId: job.jobId, index, url });
    }
    const blob = await painting.save();
    const { width, height } = painting;
    const name = `${prompt.replaceAll(/\W+/g, '-')}-${index + 1}.png`;
    const facts = { prompt, model: 'painter', seed: seed + index, width, height };
    items.push({ blob, name, source: 'generated', jobId: job.jobId, ...facts });
  }
  if (isOver(job)) return;
  const kept = items.map((item) => keep(work.shelf, item));
  succeed(work, job, 'generation_complete', {
    items: kept,
    provider: 'page',
    model: 'painter',
    seed,
  });
}

/** What every operation makes here: the same picture again, as an item of its own. */
async function copy(work: Work, job: Job) {
  const source = work.shelf.get(String(job.request.path));
  if (!source) return fail(work, job, 'process_failed', 'The item is gone.');
  advance(work, job, 0.5, 'half of it');
  await pause(PAUSE);
  if (isOver(job)) return;
  const { item, blob } = source;
  const name = `of-${item.name}`;
  const { width, height } = item;
  const made = { blob, name, source: 'process', jobId: job.jobId, width, height };
  const kept = keep(work.shelf, { ...made, sourcePath: item.path });
  succeed(work, job, 'process_complete', { url: kept.url, path: kept.path, item: kept });
}

function advance({ feed }: Work, job: Job, share: number, message: string) {
  job.progress = Math.floor(share * 100);
  job.message = message;
  const family = job.kind === 'process' ? 'process' : 'generation';
  feed.tell(`${family}_progress`, { jobId: job.jobId, progress: job.progress, message });
}

function succeed({ feed }: Work, job: Job, event: string, result: object) {
  Object.assign(job, { state: 'succeeded', progress: 100, result });
  job.finishedAt = new Date().toISOString();
  feed.tell(event, { jobId: job.jobId, result });
}

function fail({ feed }: Work, job: Job, event: string, why: string) {
  const error = { error: why, code: 'unsupported_media', retryable: false };
  Object.assign(job, { state: 'failed', error, finishedAt: new Date().toISOString() });
  feed.tell(event, { jobId: job.jobId, ...error });
}

async function measure(file: Blob): Promise<{ width?: number; height?: number }> {
  const { width, height } = await createImageBitmap(file).catch(() => ({}) as ImageBitmap);
  return { width, height };
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
