import { getClient } from '@project/realtime/client';
import { beforeEach, expect, test, vi } from 'vitest';
import { bearerOf, tokenOf } from '../../../packages/realtime/test/doubles.js';
import { forgetToken, HOME, openSession, pasteToken, type Session } from '../src/session.js';

beforeEach(() => sessionStorage.clear());

const answer = (status: number, body: object = {}) =>
  vi.fn(async () => Response.json(body, { status }));

function headersOf(session: Session | null, refresh: boolean) {
  const headers = session?.headers;
  return typeof headers === 'function' ? headers({ refresh }) : headers;
}

test('a development service gives the page its token, and a fresh one when the old is refused', async () => {
  vi.stubGlobal('fetch', answer(200, { token: 'one', user: 'dev' }));
  const session = await openSession();
  expect(await headersOf(session, false)).toEqual({ Authorization: 'Bearer one' });
  vi.stubGlobal('fetch', answer(200, { token: 'two', user: 'dev' }));
  expect(await headersOf(session, false)).toEqual({ Authorization: 'Bearer one' });
  expect(await headersOf(session, true)).toEqual({ Authorization: 'Bearer two' });
});

test.each([403, 404])('a service that answers %i wants a token of the user', async (status) => {
  vi.stubGlobal('fetch', answer(status));
  expect(await openSession()).toBeNull();
});

test('a service that breaks is not taken for one that wants a token', async () => {
  vi.stubGlobal('fetch', answer(500));
  await expect(openSession()).rejects.toThrow('500');
});

test('a pasted token survives a reload of the tab, and is forgotten when asked', async () => {
  const fetch = answer(404);
  vi.stubGlobal('fetch', fetch);
  pasteToken('  Bearer abc ');
  const session = await openSession();
  expect(await headersOf(session, true)).toEqual({ Authorization: 'Bearer abc' });
  expect(fetch).not.toHaveBeenCalled();
  forgetToken();
  expect(await openSession()).toBeNull();
});

test('forgetting the token makes the client forget its user', () => {
  const forgotten = vi.fn();
  getClient(HOME).setHeaders(bearerOf('alice'));
  getClient(HOME).transport.onHandover(forgotten);
  forgetToken();
  expect(forgotten).toHaveBeenCalledOnce();
});

test('a pasted token says whose it is, if it can be read', () => {
  expect(pasteToken(tokenOf('alice')).user).toBe('alice');
  expect(pasteToken('opaque').user).toBeNull();
});
