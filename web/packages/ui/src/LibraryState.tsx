import { type ReactNode, useEffect } from 'react';
import { Button } from './Button.js';
import { Icon } from './icons.js';
import { useMessages } from './messages.js';

interface LibraryStateProps {
  count: number;
  loading?: boolean | undefined;
  error?: Error | string | null | undefined;
  onRetry?: (() => void) | undefined;
  emptyState?: ReactNode;
}

/** What stands in the place of the tiles, or above them: loading, empty, failed, offline, signed out. */
export function LibraryState({ count, loading, error, onRetry, emptyState }: LibraryStateProps) {
  const words = useMessages();
  if (error) return <Failure error={error} onRetry={onRetry} />;
  if (count > 0) return null;
  if (loading) return <Skeleton />;
  return <div className="pu-state">{emptyState ?? words.empty}</div>;
}

interface FailureProps {
  error: Error | string;
  onRetry?: (() => void) | undefined;
}

function Failure({ error, onRetry }: FailureProps) {
  const words = useMessages();
  const { status, code } = error as { status?: number; code?: string };
  const offline = code === 'network';
  const signedOut = status === 401;
  const said = typeof error === 'string' ? error : error.message;
  useEffect(() => {
    if (!offline || !onRetry) return;
    addEventListener('online', onRetry);
    return () => removeEventListener('online', onRetry);
  }, [offline, onRetry]);
  return (
    <div className="pu-state" role="alert">
      <Icon name={offline ? 'offline' : signedOut ? 'lock' : 'alert'} />
      <p className={offline || signedOut ? undefined : 'pu-error'}>
        {signedOut ? words.unauthorized : offline && !navigator.onLine ? words.offline : said}
      </p>
      {onRetry && !signedOut && (
        <Button icon="retry" onClick={onRetry}>
          {words.tryAgain}
        </Button>
      )}
    </div>
  );
}

function Skeleton() {
  const words = useMessages();
  return (
    <div className="pu-grid" role="status" aria-label={words.loading}>
      {['a', 'b', 'c', 'd', 'e', 'f'].map((key) => (
        <div key={key} className="pu-tile" data-skeleton="" />
      ))}
    </div>
  );
}
