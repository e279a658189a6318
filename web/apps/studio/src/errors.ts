import { ServiceError } from '@project/realtime';

/** The error, unless the banner about the token says the same, or it was not meant for this user. */
export function visible(error: Error | null): Error | null {
  const known = error instanceof ServiceError && (error.status === 401 || error.code === 'aborted');
  return known ? null : error;
}
