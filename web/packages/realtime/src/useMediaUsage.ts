import { useEffect } from 'react';
import { getUsage, type ServiceOptions, type Usage, type UsageState } from './client.js';
import { useClient, useStore } from './useClient.js';

export interface MediaUsageView extends UsageState, Pick<Usage, 'refetch'> {}

/** How much the caller keeps and may keep, live. */
export function useMediaUsage(options: ServiceOptions): MediaUsageView {
  const usage = getUsage(useClient(options));
  useEffect(() => usage.follow(), [usage]);
  return { ...useStore(usage), refetch: usage.refetch };
}
