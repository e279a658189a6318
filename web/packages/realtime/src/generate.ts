import { type MediaClient, perClient } from './connection.js';
import type { GenerationRequests } from './contract.js';
import { ServiceError } from './errors.js';
import { getJobs } from './jobs.js';
import { newId } from './newId.js';

export type Generate = <Kind extends keyof GenerationRequests>(
  kind: Kind,
  request: GenerationRequests[Kind],
) => Promise<{ jobId: string }>;

export const getGenerate = /* @__PURE__ */ perClient(createGenerate);

/** Ask for media. The same request after a broken answer carries the same key, so it makes one job. */
export function createGenerate(client: MediaClient): Generate {
  const unanswered = new Map<string, string>();
  client.transport.onHandover(() => unanswered.clear());
  return async (kind, request) => {
    const fingerprint = `${kind} ${JSON.stringify(request)}`;
    const key = unanswered.get(fingerprint) ?? newId();
    unanswered.set(fingerprint, key);
    try {
      const answer = await client.transport.send<{ jobId: string }>('POST', `/generate/${kind}`, {
        body: request,
        headers: { 'Idempotency-Key': key },
      });
      unanswered.delete(fingerprint);
      getJobs(client).expect(answer.jobId, {
        kind: `generate.${kind}`,
        request: { ...request },
        createdAt: new Date().toISOString(),
      });
      return answer;
    } catch (error) {
      if (!(error instanceof ServiceError && error.retryable)) unanswered.delete(fingerprint);
      throw error;
    }
  };
}
