// @vitest-environment node
import { renderToString } from 'react-dom/server';
import { expect, test, vi } from 'vitest';
import { getClient } from '../src/client.js';
import {
  useGenerate,
  useJob,
  useJobEvents,
  useJobs,
  useMediaLibrary,
  useMediaUpload,
  useMediaUsage,
} from '../src/index.js';

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
  const { job } = useJob('j', options);
  const { isSubmitting } = useGenerate(options);
  const { usage } = useMediaUsage(options);
  const shown = [isUploading, progress, status, items.length, jobs.length, isSubmitting];
  return <p>{[...shown, job === undefined, usage === null].join(' ')}</p>;
}

test('the hooks render on a server without asking anything', () => {
  const fetch = vi.fn();
  vi.stubGlobal('fetch', fetch);
  expect(typeof document).toBe('undefined');
  expect(renderToString(<Page />)).toBe('<p>false 0 idle 0 0 false true true</p>');
  expect(fetch).not.toHaveBeenCalled();
});

test('on a server no two callers share a client, and so no token', () => {
  expect(getClient(options)).not.toBe(getClient(options));
});
