import { type FormEvent, useState } from 'react';

export function TokenForm({ onToken }: { onToken: (token: string) => void }) {
  const [token, setToken] = useState('');
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (token.trim()) onToken(token);
  };
  return (
    <form className="token-form" onSubmit={submit}>
      <label className="pu-field">
        Bearer token
        <input
          className="pu-input"
          type="password"
          autoComplete="off"
          spellCheck={false}
          value={token}
          onChange={({ target }) => setToken(target.value)}
        />
      </label>
      <button type="submit" className="pu-button" data-look="primary" disabled={!token.trim()}>
        Continue
      </button>
    </form>
  );
}
