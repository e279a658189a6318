import type { Problem } from './contract.js';

export interface ErrorDetails {
  code: string;
  status?: number;
  retryable?: boolean;
  retryAfter?: number | undefined;
  problem?: Problem | undefined;
}

/** A request the service or the network refused. `message` is a sentence for a person. */
export class ServiceError extends Error {
  override name = 'ServiceError';
  readonly code: string;
  readonly status: number;
  readonly retryable: boolean;
  /** Milliseconds the service asked to wait, when it said so. */
  readonly retryAfter: number | undefined;
  readonly problem: Problem | undefined;

  constructor(message: string, details: ErrorDetails) {
    super(message);
    this.code = details.code;
    this.status = details.status ?? 0;
    this.retryable = details.retryable ?? isRetryable(this.status);
    this.retryAfter = details.retryAfter;
    this.problem = details.problem;
  }
}

/** Ended by whoever asked, or by their leaving. */
export function aborted(): ServiceError {
  return new ServiceError('Cancelled.', { code: 'aborted', retryable: false });
}

export type UploadStep = 'init' | 'put' | 'complete' | 'ingest';

/** An upload that did not arrive, and the step it stopped at. */
export class UploadError extends ServiceError {
  override name = 'UploadError';
  readonly step: UploadStep;

  constructor(message: string, details: ErrorDetails & { step: UploadStep }) {
    super(message, details);
    this.step = details.step;
  }
}

export function isRetryable(status: number): boolean {
  return status === 0 || status === 408 || status === 425 || status === 429 || isOutage(status);
}

export async function readProblem(response: Response): Promise<ServiceError> {
  const body: unknown = await response.json().catch(() => undefined);
  return describeProblem(response.status, body, readRetryAfter(response.headers));
}

export function describeProblem(status: number, body: unknown, retryAfter?: number): ServiceError {
  const problem = isProblem(body) ? body : undefined;
  const message = problem?.detail || problem?.title || `The service answered ${status}.`;
  return new ServiceError(message, {
    code: problem?.code ?? (status === 401 ? 'unauthorized' : `http_${status}`),
    status,
    retryAfter,
    problem,
  });
}

/** Milliseconds to wait by `Retry-After`, given as seconds or as a date. */
export function readRetryAfter(headers: Headers, now = Date.now()): number | undefined {
  const value = headers.get('retry-after');
  if (!value) return undefined;
  const wait = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now;
  return wait >= 0 ? wait : undefined;
}

function isOutage(status: number): boolean {
  return status >= 500 && status !== 501 && status !== 507;
}

function isProblem(body: unknown): body is Problem {
  return typeof body === 'object' && body !== null && ('detail' in body || 'title' in body);
}
