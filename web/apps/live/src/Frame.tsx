import type { ReactNode } from 'react';

interface FrameProps {
  name: string;
  children: ReactNode;
  onAsk: () => void;
}

/** An example, and a way to let something happen that it did not ask for itself. */
export function Frame({ name, children, onAsk }: FrameProps) {
  return (
    <>
      <h1>{name}</h1>
      <div className="example">{children}</div>
      <footer>
        <button type="button" onClick={onAsk}>
          Begin a job elsewhere
        </button>
        <small>The code above, with a service that is played in this page.</small>
      </footer>
    </>
  );
}
