import { Button } from './Button.js';
import type { Bin, BinState } from './bin.js';
import { useMessages } from './messages.js';

/** What was just deleted, with the way back; time stands still while it is pointed at or focused. */
export function UndoToast({ bin, state }: { bin: Bin; state: BinState }) {
  const words = useMessages();
  const { pending, refused } = state;
  return (
    <div role="status" className="pu-toast-place">
      {pending.length > 0 && (
        // biome-ignore lint/a11y/noStaticElementInteractions: only the clock listens to the pointer
        <div
          className="pu-float pu-toast"
          onPointerEnter={bin.hold}
          onPointerLeave={bin.resume}
          onFocus={bin.hold}
          onBlur={bin.resume}
        >
          {words.deleted(pending.length)}
          <Button
            look="quiet"
            onClick={({ currentTarget }) => {
              goBack(currentTarget);
              bin.undo();
            }}
          >
            {words.undo}
          </Button>
        </div>
      )}
      {pending.length === 0 && refused.length > 0 && (
        <div className="pu-float pu-toast" data-refused="">
          {words.notDeleted(refused.length)}
          <Button look="quiet" onClick={() => bin.put(refused)}>
            {words.tryAgain}
          </Button>
          <Button look="quiet" icon="close" aria-label={words.dismiss} onClick={bin.dismiss} />
        </div>
      )}
    </div>
  );
}

/** The button is about to go: give its focus to what it stood by. */
function goBack(button: Element) {
  const tile = button
    .closest('.pu-library')
    ?.querySelector<HTMLElement>('.pu-tile-open[tabindex="0"]');
  (button.closest('dialog') ?? tile)?.focus();
}
