import { type ReactNode, useState } from 'react';
import { Button } from './Button.js';
import type { LibraryItem } from './media.js';
import { useMessages } from './messages.js';
import type { Selection } from './useSelection.js';

interface SelectionBarProps<Item extends LibraryItem> {
  items: readonly Item[];
  selection: Selection;
  onDelete: ((paths: readonly string[]) => void) | undefined;
  actions?: ((items: readonly Item[]) => ReactNode) | undefined;
}

/** How many are selected, and what can be done with all of them. */
export function SelectionBar<Item extends LibraryItem>(props: SelectionBarProps<Item>) {
  const { items, selection, onDelete, actions } = props;
  const words = useMessages();
  const chosen = items.filter(({ path }) => selection.has(path));
  return (
    <div
      className="pu-float pu-selection"
      role="toolbar"
      aria-label={words.selected(chosen.length)}
    >
      <Button
        look="quiet"
        icon="close"
        aria-label={words.clearSelection}
        onClick={selection.clear}
      />
      <span role="status">{words.selected(chosen.length)}</span>
      {chosen.length < items.length && (
        <Button look="quiet" onClick={selection.all}>
          {words.selectAll(items.length)}
        </Button>
      )}
      {actions?.(chosen)}
      <CopyAll addresses={chosen.map(({ url }) => url)} />
      {onDelete && (
        <Button
          look="danger"
          icon="trash"
          onClick={() => {
            onDelete(selection.paths);
            selection.clear();
          }}
        >
          {words.delete}
        </Button>
      )}
    </div>
  );
}

function CopyAll({ addresses }: { addresses: readonly string[] }) {
  const words = useMessages();
  const [copied, setCopied] = useState('');
  const text = addresses.join('\n');
  // Browsers give pages a clipboard only over https and on localhost.
  if (!navigator.clipboard) return null;
  return (
    <Button
      look="quiet"
      icon={copied === text ? 'check' : 'link'}
      aria-label={copied === text ? words.copied : words.copyAddresses}
      onClick={() => void navigator.clipboard.writeText(text).then(() => setCopied(text))}
    />
  );
}
