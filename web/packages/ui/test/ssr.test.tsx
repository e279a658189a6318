// @vitest-environment node
import { renderToString } from 'react-dom/server';
import { expect, test } from 'vitest';
import { JobCard, MediaLibrary, MediaUploader, PromptComposer, UiProvider } from '../src/index.js';

const upload = async () => ({ url: '', path: '' });

function Page() {
  return (
    <>
      <MediaUploader upload={upload} />
      <MediaLibrary items={[{ path: 'a.png', url: 'https://cdn/a' }]} />
      <PromptComposer models={[]} onSubmit={() => undefined} />
      <JobCard job={{ jobId: 'j', kind: 'image', state: 'queued', progress: null }} />
    </>
  );
}

test('the components render on a server, their styles once', () => {
  const html = renderToString(<Page />);
  expect(html).toContain('https://cdn/a');
  expect(html.match(/<style/g)).toHaveLength(1);
  expect(html).toContain('@layer project-ui');
});

test('a page that brings the stylesheet itself gets no style element', () => {
  expect(
    renderToString(
      <UiProvider injectStyles={false}>
        <Page />
      </UiProvider>,
    ),
  ).not.toContain('<style');
});
