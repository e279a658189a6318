import { act, cleanup, render, screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { StrictMode } from 'react';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { refusal, stubService, tokenOf } from '../../../packages/realtime/test/doubles.js';
import { App } from '../src/App.js';
import { forgetToken } from '../src/session.js';

beforeEach(() => {
  sessionStorage.clear();
  localStorage.clear();
});
afterEach(() => {
  cleanup();
  forgetToken();
});

const job = (prompt: string) => ({
  jobId: 'j',
  kind: 'generate.image',
  state: 'running',
  progress: null,
  attempts: [],
  createdAt: '2026-01-01T00:00:00Z',
  request: { prompt },
});
const never = () => new Promise<Response>(() => undefined);

async function open(events: () => Promise<Response> = never) {
  const service = stubService({
    'GET /jobs': { jobs: [job('the secret of alice')] },
    'GET /jobs/j': job('the secret of alice'),
    'GET /events': events,
    'GET /providers': { providers: [] },
    'GET /media?limit=60': { items: [] },
  });
  render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
  await enter(tokenOf('alice'));
  await screen.findByRole('article', { name: 'the secret of alice' });
  service.routes['GET /jobs'] = never;
  return service;
}

async function enter(token: string) {
  const input = await screen.findByLabelText('Bearer token');
  await userEvent.clear(input);
  await userEvent.click(input);
  await userEvent.paste(token);
  await userEvent.click(screen.getByRole('button', { name: 'Continue' }));
}

const prompt = () => screen.getByRole('textbox', { name: 'Prompt' }) as HTMLTextAreaElement;

test('after "Forget token" the next user sees no job of the last one', async () => {
  const service = await open();
  await userEvent.click(screen.getByRole('button', { name: 'Forget token' }));
  const before = service.calls.length;
  await act(async () => undefined);
  expect(service.calls).toHaveLength(before);
  await enter(tokenOf('bob'));
  expect(prompt()).toBeTruthy();
  expect(screen.queryByRole('article')).toBeNull();
});

test('another token in the banner takes the screen over, a fresh one of the same user does not', async () => {
  await open(async () => refusal(401, 'unauthorized', 'Expired.'));
  await userEvent.type(prompt(), 'a draft of alice');
  await enter(tokenOf('alice', { exp: 2 }));
  expect(prompt().value).toBe('a draft of alice');
  expect(screen.getByRole('article', { name: 'the secret of alice' })).toBeTruthy();
  await enter('unreadable');
  expect(prompt().value).toBe('a draft of alice');
  await enter(tokenOf('bob'));
  expect(prompt().value).toBe('');
  expect(screen.queryByRole('article')).toBeNull();
});
