import { type MediaClient, perClient } from './connection.js';
import type { GenerationRequests, ImportRequest, JobRef, MediaOperation } from './contract.js';
import { getJobs } from './jobs.js';
import { getOrder } from './order.js';

export type Generate = <Kind extends keyof GenerationRequests>(
  kind: Kind,
  request: GenerationRequests[Kind],
) => Promise<JobRef>;

/** Make a new item of the item at `path`. */
export type Process = (path: string, operation: MediaOperation) => Promise<JobRef>;

/** Fetch a public address into the library. */
export type ImportUrl = (url: string, filename?: string) => Promise<JobRef>;

/** How this client asks for media; each answer is a job to follow, shown as queued at once. */
export const getGenerate = /* @__PURE__ */ perClient<Generate>((client) => (kind, request) => {
  return make(client, `generate.${kind}`, `/generate/${kind}`, request);
});

export const getProcess = /* @__PURE__ */ perClient<Process>((client) => (path, operation) => {
  return make(client, 'process', '/media/process', { path, operation });
});

export const getImport = /* @__PURE__ */ perClient<ImportUrl>((client) => (url, filename) => {
  return make(client, 'import', '/media/import', { url, filename } satisfies ImportRequest);
});

async function make(client: MediaClient, kind: string, path: string, request: object) {
  const answer = await getOrder(client)(path, request);
  const createdAt = new Date().toISOString();
  getJobs(client).expect(answer.jobId, { kind, request: { ...request }, createdAt });
  return answer;
}
