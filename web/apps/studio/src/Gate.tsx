import { TokenForm } from './TokenForm.js';
import { Wordmark } from './Wordmark.js';

interface GateProps {
  message?: string;
  onToken?: (token: string) => void;
  onRetry?: () => void;
}

/** What stands before the studio: a token to give, or a service to wait for. */
export function Gate({ message, onToken, onRetry }: GateProps) {
  return (
    <main className="gate">
      <div className="gate-panel pu">
        <Wordmark />
        {message && <p role="alert">{message}</p>}
        {onToken && (
          <>
            <p className="quiet">
              Paste a Bearer token to begin. It is kept in this tab and forgotten when you close it.
            </p>
            <TokenForm onToken={onToken} />
          </>
        )}
        {onRetry && (
          <button type="button" className="pu-button" data-look="primary" onClick={onRetry}>
            Try again
          </button>
        )}
      </div>
    </main>
  );
}
