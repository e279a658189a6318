import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createReport } from '../src/report.js';
import { createTransport } from '../src/transport.js';
import { refusal, stubService } from './doubles.js';

const ROUTE = 'POST https://api/media/upload/progress';
const bucket = 'https://storage.googleapis.com/bucket/x?sig=1';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function setUp(uploadURL = bucket, answer: Parameters<typeof stubService>[0][string] = {}) {
  const service = stubService({ [ROUTE]: answer });
  const ticket = { uploadURL, objectPath: 'p', jobId: 'j', headers: {}, expiresAt: '' };
  const report = createReport(createTransport('https://api'), ticket, 1_000);
  return { report, told: () => service.calls.map(({ body }) => body) };
}

test('the count is told at most once a second, and not for a file that is gone before', async () => {
  const { report, told } = setUp();
  for (let ms = 0; ms < 3_000; ms += 100) {
    report(ms / 10 + 1);
    await vi.advanceTimersByTimeAsync(100);
  }
  expect(told()).toEqual([
    { objectPath: 'p', loaded: 101, total: 1_000 },
    { objectPath: 'p', loaded: 201, total: 1_000 },
  ]);
});

test('the last byte is not told: complete tells more', async () => {
  const { report, told } = setUp();
  report(1);
  await vi.advanceTimersByTimeAsync(5_000);
  report(1_000);
  expect(told()).toEqual([]);
});

test('a refused count is the last one of its file', async () => {
  const { report, told } = setUp(bucket, () => refusal(404, 'upload_not_found', 'None.'));
  for (let loaded = 1; loaded < 6; loaded += 1) {
    report(loaded);
    await vi.advanceTimersByTimeAsync(1_500);
  }
  expect(told()).toHaveLength(1);
});

test("nothing is told where the service's own store counts", async () => {
  for (const own of ['/storage/x?sig=1', 'https://api/storage/x']) {
    const { report, told } = setUp(own);
    report(1);
    await vi.advanceTimersByTimeAsync(5_000);
    report(2);
    expect(told()).toEqual([]);
  }
});
