import { useCallback, useEffect, useState } from 'react';
import { Gate } from './Gate.js';
import { Studio } from './Studio.js';
import { forgetToken, openSession, pasteToken, type Session } from './session.js';

type Entry =
  | { state: 'opening' }
  | { state: 'unreachable'; message: string }
  | { state: 'closed' }
  | { state: 'open'; session: Session };

export function App() {
  const [entry, setEntry] = useState<Entry>({ state: 'opening' });
  const open = useCallback(async () => {
    setEntry({ state: 'opening' });
    try {
      const session = await openSession();
      setEntry(session ? { state: 'open', session } : { state: 'closed' });
    } catch {
      setEntry({ state: 'unreachable', message: 'The service cannot be reached.' });
    }
  }, []);
  useEffect(() => void open(), [open]);

  const signIn = (token: string) => setEntry({ state: 'open', session: pasteToken(token) });
  const signOut = () => {
    forgetToken();
    setEntry({ state: 'closed' });
  };

  switch (entry.state) {
    case 'opening':
      return <main className="gate" aria-busy="true" aria-label="Opening" />;
    case 'unreachable':
      return <Gate message={entry.message} onRetry={() => void open()} />;
    case 'closed':
      return <Gate onToken={signIn} />;
    case 'open':
      return <Studio session={entry.session} onToken={signIn} onSignOut={signOut} />;
  }
}
