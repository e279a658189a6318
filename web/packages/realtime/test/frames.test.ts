import { createParser } from 'eventsource-parser';
import { expect, test, vi } from 'vitest';
import { createFrameReader, type Frame } from '../src/frames.js';

type Heard = Frame | { retry: number };

function readOurs(pieces: string[]): Heard[] {
  const heard: Heard[] = [];
  const read = createFrameReader({
    onEvent: (frame) => heard.push(frame),
    onRetry: (retry) => heard.push({ retry }),
    onComment: () => undefined,
  });
  pieces.forEach(read);
  return heard;
}

function readTheirs(pieces: string[]): Heard[] {
  const heard: Heard[] = [];
  const parser = createParser({
    onEvent: ({ event, data, id }) =>
      heard.push({ event: event ?? '', data, ...(id !== undefined && { id }) }),
    onRetry: (retry) => heard.push({ retry }),
  });
  for (const piece of pieces) parser.feed(piece);
  return heard;
}

/** Numbers that are the same in every run (mulberry32). */
function createRandom(seed: number) {
  let state = seed;
  return (below: number) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const ATOMS = [
  ...['data: x', 'data:  two', 'data', 'data:', 'event: a', 'event', 'id: 7', 'id', 'id: a\0b'],
  ...['retry: 500', 'retry: soon', ': ping', ':', 'other: x', 'no colon', ' data: x', 'data: ü:'],
];
const ENDS = ['\n', '\n', '\n', '\r\n', '\r', '\n\n', '\r\n\r\n'];

function compose(random: (below: number) => number): string {
  const pick = (from: string[]) => from[random(from.length)] as string;
  const text = Array.from({ length: 1 + random(12) }, () => pick(ATOMS) + pick(ENDS)).join('');
  return `${text}\n\n`;
}

function cut(text: string, random: (below: number) => number): string[] {
  const pieces: string[] = [];
  for (let place = 0; place < text.length; ) {
    const end = place + 1 + random(9);
    pieces.push(text.slice(place, end));
    place = end;
  }
  return pieces;
}

test('any stream in any pieces is heard as another reader of the standard hears it', () => {
  const random = createRandom(20261122);
  let events = 0;
  for (let round = 0; round < 3000; round += 1) {
    const text = compose(random);
    const ours = readOurs(cut(text, random));
    expect(ours, JSON.stringify(text)).toEqual(readTheirs([text]));
    events += ours.length;
  }
  expect(events).toBeGreaterThan(3000);
});

test('a comment is a sign of life', () => {
  const onComment = vi.fn();
  const read = createFrameReader({ onEvent: vi.fn(), onRetry: vi.fn(), onComment });
  read(': ping\n\n');
  expect(onComment).toHaveBeenCalledTimes(1);
});
