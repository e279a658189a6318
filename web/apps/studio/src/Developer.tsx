import { type MediaEvent, type ServiceOptions, useJobEvents } from '@project/realtime';
import { useState } from 'react';

interface Heard {
  nth: number;
  at: Date;
  event: MediaEvent;
}

const KEPT = 300;

/** The raw events as they come, with their ids; the newest first. */
export function Developer({ service, onClose }: { service: ServiceOptions; onClose: () => void }) {
  const [log, setLog] = useState<readonly Heard[]>([]);
  const [filter, setFilter] = useState('');
  useJobEvents({
    ...service,
    onEvent: (event) =>
      setLog((before) => [
        { nth: (before[0]?.nth ?? 0) + 1, at: new Date(), event },
        ...before.slice(0, KEPT - 1),
      ]),
  });
  const lines = log.filter(({ event }) => JSON.stringify(event).includes(filter));
  return (
    <aside className="developer pu" aria-label="Developer">
      <header>
        <h2>Events</h2>
        <input
          className="pu-input"
          type="search"
          aria-label="Filter events"
          placeholder="Filter"
          value={filter}
          onChange={({ target }) => setFilter(target.value)}
        />
        <button type="button" className="pu-button" data-look="quiet" onClick={() => setLog([])}>
          Clear
        </button>
        <button type="button" className="pu-button" data-look="quiet" onClick={onClose}>
          Close
        </button>
      </header>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard */}
      <ol tabIndex={0} aria-label="Event log">
        {lines.map(({ nth, at, event }) => (
          <li key={nth}>
            <time>{at.toISOString().slice(11, 23)}</time> <b>{event.type}</b>{' '}
            {event.id && <i>{event.id}</i>} <code>{JSON.stringify(event.data)}</code>
          </li>
        ))}
      </ol>
      {log.length === 0 && (
        <p className="pu-note">Nothing was heard yet. What comes is listed here.</p>
      )}
    </aside>
  );
}
