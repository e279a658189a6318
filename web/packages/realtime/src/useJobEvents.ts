import { useCallback, useEffect, useRef } from 'react';
import type { MediaEvent, ServiceOptions, StreamStatus } from './client.js';
import { useClient, useStore } from './useClient.js';

export interface JobEventsOptions extends ServiceOptions {
  /** Only events of this job. */
  jobId?: string;
  onEvent?: (event: MediaEvent) => void;
  /** History is gone: read again whatever was built from events. */
  onReset?: () => void;
}

export interface JobEvents {
  status: StreamStatus;
  reconnect: () => void;
}

/** Hear the service's events for as long as the component is mounted. */
export function useJobEvents(options: JobEventsOptions): JobEvents {
  const { events } = useClient(options);
  const latest = useRef(options);
  useEffect(() => {
    latest.current = options;
  });
  useEffect(() => events.subscribe((event) => dispatch(event, latest.current)), [events]);
  const reconnect = useCallback(() => events.reconnect(), [events]);
  return { status: useStore(events.status), reconnect };
}

function dispatch(event: MediaEvent, { jobId, onEvent, onReset }: JobEventsOptions) {
  if (event.type === 'reset') return onReset?.();
  if (jobId && !('jobId' in event.data && event.data.jobId === jobId)) return;
  onEvent?.(event);
}
