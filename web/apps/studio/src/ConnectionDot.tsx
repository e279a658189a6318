import type { StreamStatus } from '@project/realtime';

const words: Record<StreamStatus, string> = {
  idle: 'Not connected',
  connecting: 'Connecting',
  open: 'Live',
  retrying: 'Reconnecting',
  offline: 'Offline',
  unauthorized: 'Signed out',
};

/** Whether what the page shows is live. */
export function ConnectionDot({ status }: { status: StreamStatus }) {
  return (
    <span className="connection" data-status={status} role="status">
      <i aria-hidden="true" />
      {words[status]}
    </span>
  );
}
