export type Part = 'create' | 'library';

const LABELS: Record<Part, string> = { create: 'Create', library: 'Library' };

interface PartsProps {
  shown: Part;
  /** Jobs that go on while the reader is elsewhere. */
  running: number;
  onShow: (part: Part) => void;
}

/** On a phone the screen is two, what is made and what is kept; elsewhere all is in sight. */
export function Parts({ shown, running, onShow }: PartsProps) {
  return (
    <nav className="parts" aria-label="Parts">
      {(['create', 'library'] as const).map((part) => (
        <button
          key={part}
          type="button"
          aria-current={part === shown ? 'page' : undefined}
          onClick={() => onShow(part)}
        >
          {LABELS[part]}
          {part === 'create' && running > 0 && <small>{running} running</small>}
        </button>
      ))}
    </nav>
  );
}
