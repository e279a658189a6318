import { expect, test } from 'vitest';
import { leftToday } from '../src/leftToday.js';

test('what ends with the day is told, and what ends by itself is not', () => {
  expect(leftToday([])).toBe('');
  expect(leftToday([{ name: 'requests', limit: 60, left: 9 }])).toBe('');
  expect(
    leftToday([
      { name: 'jobs', limit: 4, left: 1 },
      { name: 'items', limit: 100, left: 40 },
      { name: 'spend', limit: 5, left: 1.25 },
    ]),
  ).toBe('40 of 100 and $1.25 of $5.00 left today');
});
