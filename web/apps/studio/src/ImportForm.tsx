import type { ImportUrl } from '@project/realtime';
import { type FormEvent, useState } from 'react';

/** A public address whose file the service fetches into the library. */
export function ImportForm({ importUrl }: { importUrl: ImportUrl }) {
  const [url, setUrl] = useState('');
  const [said, setSaid] = useState<{ text: string; failed: boolean } | null>(null);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    try {
      await importUrl(url.trim());
      setUrl('');
      setSaid({ text: 'It is being fetched, and appears in the library.', failed: false });
    } catch (error) {
      setSaid({ text: (error as Error).message, failed: true });
    }
  };
  return (
    <form className="import" onSubmit={(event) => void submit(event)}>
      <input
        className="pu-input"
        type="url"
        required
        aria-label="Address to import from"
        placeholder="https://… to import"
        value={url}
        onChange={({ target }) => setUrl(target.value)}
      />
      <button type="submit" className="pu-button" disabled={!url.trim()}>
        Import
      </button>
      <p role="status" className={said?.failed ? 'pu-error' : 'pu-note'}>
        {said?.text}
      </p>
    </form>
  );
}
