import { getClient, type ProviderModel, type ServiceOptions } from '@project/realtime';
import { useCallback, useEffect, useState } from 'react';

interface Models {
  models: readonly ProviderModel[];
  error: Error | null;
  refetch: () => void;
}

/** What can be asked for now. */
export function useModels(service: ServiceOptions): Models {
  const [models, setModels] = useState<readonly ProviderModel[]>([]);
  const [error, setError] = useState<Error | null>(null);
  const refetch = useCallback(() => {
    const answer = getClient(service).transport.send<{ providers: ProviderModel[] }>(
      'GET',
      '/providers',
    );
    answer.then(({ providers }) => {
      setModels(providers);
      setError(null);
    }, setError);
  }, [service]);
  useEffect(refetch, [refetch]);
  return { models, error, refetch };
}
