import { beforeEach, expect, test, vi } from 'vitest';
import { createClient } from '../src/client.js';
import { getGenerate } from '../src/making.js';
import { newId } from '../src/newId.js';
import { createUploads } from '../src/uploads.js';
import { fileOf, stubService } from './doubles.js';

// What a page has over plain http off localhost: `randomUUID` is not there.
beforeEach(() => {
  const getRandomValues = crypto.getRandomValues.bind(crypto);
  vi.stubGlobal('crypto', { getRandomValues });
});

test('ids are long and never the same', () => {
  const ids = Array.from({ length: 1000 }, newId);
  expect(new Set(ids).size).toBe(1000);
  expect(ids.every((id) => /^[0-9a-f]{32}$/.test(id))).toBe(true);
});

test('a page without https generates and uploads', async () => {
  const { calls } = stubService({
    'POST /generate/image': { jobId: 'j' },
    'POST /media/upload/init': { uploadURL: '/s', objectPath: 'p', jobId: 'u' },
    'POST /media/upload/complete': { url: 'u', path: 'p' },
  });
  const client = createClient({ apiPrefix: '', serviceName: 'plain' });
  await getGenerate(client)('image', { prompt: 'sea' });
  const uploads = createUploads(client, { put: async () => undefined });
  await expect(uploads.upload(fileOf())).resolves.toEqual({ url: 'u', path: 'p' });
  const keys = calls.flatMap(({ headers }) => headers['Idempotency-Key'] ?? []);
  expect(new Set(keys).size).toBe(2);
});
