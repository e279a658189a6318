import { fireEvent, render, screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { expect, test, vi } from 'vitest';
import { type CardJob, JobCard, type JobCardProps } from '../src/index.js';

const job: CardJob = {
  jobId: 'j1',
  kind: 'generate.image',
  state: 'running',
  progress: 41.7,
  message: 'Step 5 of 12',
  request: { prompt: 'a quiet sea' },
};

function show(part: Partial<CardJob> = {}, actions: Partial<JobCardProps> = {}) {
  return render(<JobCard job={{ ...job, ...part }} {...actions} />);
}

test('a known percentage is shown as it is', () => {
  show();
  expect(screen.getByRole('article', { name: 'a quiet sea' })).toBeTruthy();
  expect(screen.getByRole('progressbar').getAttribute('value')).toBe('41.7');
  expect(screen.getByText('41 %')).toBeTruthy();
  expect(screen.getByText('Step 5 of 12')).toBeTruthy();
});

test('an unknown percentage shows no number, only what the service says', () => {
  show({ progress: null, message: 'queued at provider, position 3' });
  expect(screen.getByRole('progressbar').hasAttribute('value')).toBe(false);
  expect(screen.queryByText(/%/)).toBeNull();
  expect(screen.getByText('queued at provider, position 3')).toBeTruthy();
});

test('partial pictures are shown until the finished ones are there', () => {
  const sources = (view: { container: HTMLElement }) =>
    [...view.container.querySelectorAll('img')].map((image) => image.getAttribute('src'));
  const view = show({ previews: ['https://p/0', 'https://p/1'] });
  expect(sources(view)).toEqual(['https://p/0', 'https://p/1']);
  const items = [{ path: 'a.png', url: 'https://cdn/a', kind: 'image' }];
  view.rerender(
    <JobCard job={{ ...job, state: 'succeeded', previews: ['https://p/0'], result: { items } }} />,
  );
  expect(sources(view)).toEqual(['https://cdn/a']);
});

test('a partial picture that was cleared away leaves no broken image', () => {
  const view = show({ previews: ['https://p/0'] });
  fireEvent.error(view.container.querySelector('img') as HTMLImageElement);
  expect(view.container.querySelector('img')).toBeNull();
});

test('a running job can be cancelled, not retried', async () => {
  const [onCancel, onRetry] = [vi.fn(), vi.fn()];
  show({}, { onCancel, onRetry });
  await userEvent.click(screen.getByRole('button', { name: 'Cancel' }));
  expect(onCancel).toHaveBeenCalledWith('j1');
  expect(screen.queryByRole('button', { name: 'Retry' })).toBeNull();
});

test.each([
  ['a sentence', 'Out of memory.'],
  ['a problem', { error: 'Out of memory.', code: 'failed', retryable: true }],
])('a failure given as %s is told and can be retried, reused and put away', async (_, error) => {
  const [onRetry, onReuse, onDismiss] = [vi.fn(), vi.fn(), vi.fn()];
  show({ state: 'failed', error }, { onRetry, onReuse, onDismiss });
  expect(screen.getByRole('alert').textContent).toBe('Out of memory.');
  expect(screen.queryByRole('progressbar')).toBeNull();
  for (const name of ['Retry', 'Edit and rerun', 'Dismiss'])
    await userEvent.click(screen.getByRole('button', { name }));
  expect([onRetry, onReuse, onDismiss].map((action) => action.mock.calls.length)).toEqual([
    1, 1, 1,
  ]);
});
