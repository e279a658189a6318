import { createFeed } from './feed.ts';
import { begin, cancel, ingest, isOver, type Job, type Work } from './jobs.ts';
import { list, type Shelf } from './shelf.ts';

/** Where files are sent: another origin than the service's, as in earnest. */
export const STORAGE = 'https://storage.invalid/';
const ITEM = /^\/media\/(media\/.+)$/;
const JOB = /^\/jobs\/([^/]+)(\/cancel|\/retry)?$/;

interface Upload {
  job: Job;
  name: string;
  size: number;
  file?: Blob;
}

export interface Service {
  work: Work;
  answer(method: string, url: URL, body: string, signal?: AbortSignal | null): Promise<Response>;
  /** Take a file at an address that `POST /media/upload/init` gave; the answer is a status. */
  store(address: string, file: Blob): number;
}

/** A service that is played in this page: it answers as the contract says, and forgets on reload. */
export function createService(): Service {
  const work: Work = { feed: createFeed(), shelf: new Map(), jobs: new Map() };
  const uploads = new Map<string, Upload>();

  async function answer(method: string, url: URL, body: string, signal?: AbortSignal | null) {
    const asked = `${method} ${url.pathname}`;
    if (asked === 'GET /events') return work.feed.open(signal);
    if (asked === 'GET /jobs') return say(200, { jobs: [...work.jobs.values()].reverse() });
    if (asked === 'GET /media') return say(200, { items: list(work.shelf, url.searchParams) });
    if (asked === 'GET /media/usage') return say(200, measure(work.shelf));
    const sent = body ? JSON.parse(body) : {};
    const [, kind] = /^POST \/generate\/(image|video)$/.exec(asked) ?? [];
    if (kind) return accept(begin(work, `generate.${kind}`, sent));
    if (asked === 'POST /media/process') return accept(begin(work, 'process', sent));
    if (asked === 'POST /media/delete') return say(200, remove(sent.paths ?? []));
    if (asked.startsWith('POST /media/upload/')) return upload(url.pathname.slice(14), sent);
    const [, path] = ITEM.exec(decodeURIComponent(url.pathname)) ?? [];
    if (path) return change(method, path, sent);
    const [, jobId, action] = JOB.exec(url.pathname) ?? [];
    const job = work.jobs.get(jobId ?? '');
    return job ? follow(method, job, action) : refuse(404, 'not_found', 'There is no such thing.');
  }

  function follow(method: string, job: Job, action?: string) {
    if (method === 'GET') return say(200, job);
    if (action === '/retry') return accept(begin(work, job.kind, job.request, job.jobId));
    if (isOver(job)) return refuse(409, 'job_ended', `The job has ended: it is ${job.state}.`);
    cancel(work, job);
    return say(202, job);
  }

  function remove(paths: string[]) {
    const deleted = paths.filter((path) => work.shelf.delete(path));
    work.feed.tell('media_deleted', { paths: deleted });
    return { deleted, failed: [], more: false };
  }

  function change(method: string, path: string, sent: object) {
    const kept = work.shelf.get(path);
    if (!kept) return refuse(404, 'media_not_found', 'There is no such item.');
    if (method === 'PATCH') return say(200, Object.assign(kept.item, sent));
    remove([path]);
    return new Response(null, { status: 204 });
  }

  function upload(step: string, sent: { [name: string]: string }) {
    if (step === 'init') return init(String(sent.filename), Number(sent.size));
    const told = uploads.get(sent.objectPath ?? '');
    if (!told) return refuse(404, 'upload_not_found', 'There is no such upload.');
    const { jobId } = told.job;
    if (step === 'progress') {
      const progress = Math.floor((Number(sent.loaded) / told.size) * 100);
      work.feed.tell('upload_progress', { jobId, progress, reportedBy: 'client' });
      return new Response(null, { status: 204 });
    }
    if (!told.file) return refuse(409, 'upload_missing', 'Nothing was sent yet.');
    void ingest(work, told.job, told.name, told.file);
    const url = URL.createObjectURL(told.file);
    return say(200, { url, path: sent.objectPath, jobId });
  }

  function init(name: string, size: number) {
    const job = begin(work, 'upload', { filename: name });
    const objectPath = `media/me/uploads/${job.jobId}`;
    uploads.set(objectPath, { job, name, size });
    const expiresAt = new Date(Date.now() + 900_000).toISOString();
    const uploadURL = STORAGE + objectPath;
    return say(200, { uploadURL, objectPath, jobId: job.jobId, headers: {}, expiresAt });
  }

  function store(address: string, file: Blob) {
    const told = uploads.get(address.slice(STORAGE.length));
    if (!told || file.size !== told.size) return 403;
    told.file = file;
    return 200;
  }

  return { work, answer, store };
}

function accept({ jobId }: Job): Response {
  return say(202, { jobId });
}

function say(status: number, body: object): Response {
  return Response.json(body, { status });
}

function refuse(status: number, code: string, detail: string): Response {
  return say(status, { title: code, status, detail, code });
}

function measure(shelf: Shelf) {
  const bytes = [...shelf.values()].reduce((sum, { blob }) => sum + blob.size, 0);
  const quotas = { quotaBytes: 2_000_000, quotaObjects: null };
  return { bytes, objects: shelf.size, ...quotas, limits: [] };
}
