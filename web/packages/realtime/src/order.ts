import { type MediaClient, perClient } from './connection.js';
import type { JobRef } from './contract.js';
import { ServiceError } from './errors.js';
import { newId } from './newId.js';

/** Ask for a job; `path` under the service. */
export type Order = (path: string, body?: object) => Promise<JobRef>;

/** Ask for jobs. The same request after a broken answer carries the same key, so it makes one job. */
export const getOrder = /* @__PURE__ */ perClient(createOrder);

function createOrder({ transport }: MediaClient): Order {
  const unanswered = new Map<string, string>();
  transport.onHandover(() => unanswered.clear());
  return async (path, body) => {
    const fingerprint = `${path} ${JSON.stringify(body)}`;
    const key = unanswered.get(fingerprint) ?? newId();
    unanswered.set(fingerprint, key);
    try {
      const headers = { 'Idempotency-Key': key };
      const answer = await transport.send<JobRef>('POST', path, { body, headers });
      unanswered.delete(fingerprint);
      return answer;
    } catch (error) {
      if (!(error instanceof ServiceError && error.retryable)) unanswered.delete(fingerprint);
      throw error;
    }
  };
}
