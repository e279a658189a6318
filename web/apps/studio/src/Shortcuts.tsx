import { useEffect, useId, useRef } from 'react';

const KEYS: readonly [string, string][] = [
  ['Ctrl Enter', 'Send the prompt'],
  ['Arrows, Home, End, Page Up, Page Down', 'Walk the library'],
  ['Enter', 'Open'],
  ['Space', 'Select'],
  ['Shift and arrows', 'Select a range'],
  ['Ctrl A', 'Select all'],
  ['Delete', 'Delete, with time to undo'],
  ['Escape', 'Let go of the selection, close'],
  ['?', 'These keys'],
];

/** The keys the page knows, shown by `?`. */
export function Shortcuts() {
  const heading = useId();
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const onKey = ({ key, target }: KeyboardEvent) => {
      const typing = target instanceof Element && target.matches('input, textarea, select');
      if (key === '?' && !typing && !document.querySelector('dialog[open]'))
        dialog.current?.showModal();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);
  return (
    <dialog ref={dialog} className="shortcuts pu" aria-labelledby={heading}>
      <h2 id={heading}>Keys</h2>
      <dl>
        {KEYS.map(([keys, does]) => (
          <div key={keys}>
            <dt>
              <kbd>{keys}</kbd>
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
      <form method="dialog">
        <button type="submit" className="pu-button">
          Close
        </button>
      </form>
    </dialog>
  );
}
