import { useCallback, useRef, useState } from 'react';
import { type Generate, getGenerate, type ServiceOptions } from './client.js';
import { useClient } from './useClient.js';

export interface Generation {
  generate: Generate;
  isSubmitting: boolean;
  error: Error | null;
  reset: () => void;
}

/** Ask for images and videos; the answer is a job to follow, not the result. */
export function useGenerate(options: ServiceOptions): Generation {
  const client = useClient(options);
  const [error, setError] = useState<Error | null>(null);
  const [isSubmitting, setSubmitting] = useState(false);
  const open = useRef(0);
  const generate = useCallback<Generate>(
    async (kind, request) => {
      open.current += 1;
      setSubmitting(true);
      setError(null);
      try {
        return await getGenerate(client)(kind, request);
      } catch (cause) {
        setError(cause as Error);
        throw cause;
      } finally {
        open.current -= 1;
        setSubmitting(open.current > 0);
      }
    },
    [client],
  );
  const reset = useCallback(() => setError(null), []);
  return { generate, isSubmitting, error, reset };
}
