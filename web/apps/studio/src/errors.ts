import { ServiceError } from '@project/realtime';

/** The error, unless it only says what the banner about the token already says. */
export function visible(error: Error | null): Error | null {
  return error instanceof ServiceError && error.status === 401 ? null : error;
}
