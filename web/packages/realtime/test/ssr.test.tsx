// @vitest-environment node
import { renderToString } from 'react-dom/server';
import { expect, test, vi } from 'vitest';
import { getClient } from '../src/client.js';
import { useJobEvents, useJobs, useMediaLibrary, useMediaUpload } from '../src/index.js';

const options = {
  apiPrefix: 'https://api',
  serviceName: 'ssr',
  headers: { Authorization: 'Bearer a' },
};

function Page() {
  const { isUploading, progress } = useMediaUpload(options);
  const { status } = useJobEvents(options);
  const { items } = useMediaLibrary(options);
  const { jobs } = useJobs(options);
  return <p>{[isUploading, progress, status, items.length, jobs.length].join(' ')}</p>;
}

test('the hooks render on a server without asking anything', () => {
  const fetch = vi.fn();
  vi.stubGlobal('fetch', fetch);
  expect(typeof document).toBe('undefined');
  expect(renderToString(<Page />)).toBe('<p>false 0 idle 0 0</p>');
  expect(fetch).not.toHaveBeenCalled();
});

test('on a server no two callers share a client, and so no token', () => {
  expect(getClient(options)).not.toBe(getClient(options));
});
