import { act, render, screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { beforeEach, expect, test, vi } from 'vitest';
import { stubService } from '../../../packages/realtime/test/doubles.js';
import { Activity } from '../src/Activity.js';

let nth = 0;
beforeEach(() => {
  nth += 1;
  localStorage.clear();
});

const job = (jobId: string, state: string, kind = 'generate.image') => ({
  jobId,
  kind,
  state,
  progress: null,
  message: '',
  attempts: [],
  createdAt: '2026-01-01T00:00:00Z',
  request: { prompt: jobId },
  error: state === 'failed' ? { error: `${jobId} broke.`, code: 'failed', retryable: true } : null,
});

async function show(jobs: object[], routes: Parameters<typeof stubService>[0] = {}) {
  const service = stubService({ 'GET /jobs': { jobs }, ...routes });
  const [onReuse, onProblem] = [vi.fn(), vi.fn()];
  const connection = { apiPrefix: '', serviceName: `activity-${nth}`, headers: {} };
  const view = render(<Activity service={connection} onReuse={onReuse} onProblem={onProblem} />);
  await act(async () => undefined);
  const names = () =>
    screen.queryAllByRole('article').map((card) => card.getAttribute('aria-label'));
  return { service, names, onProblem, ...view };
}

test('what runs and what failed is shown, what was done before and uploads are not', async () => {
  const { names } = await show([
    job('running', 'running'),
    job('failed', 'failed', 'generate.video'),
    job('old', 'succeeded'),
    job('file', 'running', 'upload'),
  ]);
  expect(names()).toEqual(['running', 'failed']);
});

test('a failure stays put away after a reload', async () => {
  const first = await show([job('failed', 'failed')]);
  await userEvent.click(screen.getByRole('button', { name: 'Dismiss' }));
  expect(first.names()).toEqual([]);
  first.unmount();
  nth += 1;
  const second = await show([job('failed', 'failed')]);
  expect(second.names()).toEqual([]);
});

test('a retry puts the new job in the place of the failed one', async () => {
  const { names } = await show([job('failed', 'failed')], {
    'POST /jobs/failed/retry': { jobId: 'again' },
    'GET /jobs/again': job('again', 'running'),
  });
  await userEvent.click(screen.getByRole('button', { name: 'Retry' }));
  expect(names()).toEqual(['failed']);
  expect(screen.queryByText('failed broke.')).toBeNull();
  expect(screen.getByRole('progressbar')).toBeTruthy();
});

test('a refused cancel is reported', async () => {
  const { onProblem } = await show([job('running', 'running')]);
  await userEvent.click(screen.getByRole('button', { name: 'Cancel' }));
  expect(onProblem).toHaveBeenCalledWith(expect.objectContaining({ status: 404 }));
});
