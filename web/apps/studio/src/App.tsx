import { useCallback, useEffect, useState } from 'react';
import { flushSync } from 'react-dom';
import { Gate } from './Gate.js';
import { Studio } from './Studio.js';
import { forgetToken, openSession, pasteToken, type Session } from './session.js';

type Entry =
  | { state: 'opening' }
  | { state: 'unreachable'; message: string }
  | { state: 'closed' }
  | Open;

interface Open {
  state: 'open';
  session: Session;
  user: string | null;
  /** How many users this page has had. */
  tenure: number;
}

export function App() {
  const [entry, setEntry] = useState<Entry>({ state: 'opening' });
  const open = useCallback(async () => {
    setEntry({ state: 'opening' });
    try {
      const session = await openSession();
      setEntry((entry) => (session ? enter(entry, session) : { state: 'closed' }));
    } catch {
      setEntry({ state: 'unreachable', message: 'The service cannot be reached.' });
    }
  }, []);
  useEffect(() => void open(), [open]);

  const signIn = (token: string) => {
    const session = pasteToken(token);
    setEntry((entry) => enter(entry, session));
  };
  const signOut = () => {
    // The studio goes first, so that nothing in it asks again as nobody.
    flushSync(() => setEntry({ state: 'closed' }));
    forgetToken();
  };

  switch (entry.state) {
    case 'opening':
      return <main className="gate" aria-busy="true" aria-label="Opening" />;
    case 'unreachable':
      return <Gate message={entry.message} onRetry={() => void open()} />;
    case 'closed':
      return <Gate onToken={signIn} />;
    case 'open':
      return (
        <Studio key={entry.tenure} session={entry.session} onToken={signIn} onSignOut={signOut} />
      );
  }
}

/** Go on with what is on the screen, unless it is known to be another's. */
function enter(entry: Entry, session: Session): Open {
  const before = entry.state === 'open' ? entry : { user: null, tenure: 0 };
  const user = session.user ?? before.user;
  const taken = before.user !== null && before.user !== user;
  return { state: 'open', session, user, tenure: before.tenure + (taken ? 1 : 0) };
}
