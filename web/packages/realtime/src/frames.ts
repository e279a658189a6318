/** One event of a stream; `event` is empty and `id` missing where the stream gives none. */
export interface Frame {
  event: string;
  data: string;
  id?: string;
}

export interface FrameListener {
  onEvent(frame: Frame): void;
  onComment(): void;
  onRetry(milliseconds: number): void;
}

// A CR at the end may be the first half of a CRLF.
const LINE_END = /\r\n|\n|\r(?=[\s\S])/;

/** Read `text/event-stream` in pieces of any size, as the HTML standard says (9.2.6). */
export function createFrameReader({ onEvent, onComment, onRetry }: FrameListener) {
  let unread = '';
  let lines: string[] = [];
  let frame: Partial<Frame> = {};

  function read(line: string) {
    if (!line) return dispatch();
    const [, name, value = ''] = /^([^:]*)(?:: ?([\s\S]*))?$/.exec(line) ?? [];
    if (name === '') onComment();
    if (name === 'data') lines.push(value);
    if (name === 'event') frame.event = value;
    if (name === 'id' && !value.includes('\0')) frame.id = value;
    if (name === 'retry' && /^\d+$/.test(value)) onRetry(Number(value));
  }

  function dispatch() {
    if (lines.length > 0) onEvent({ event: '', ...frame, data: lines.join('\n') });
    lines = [];
    frame = {};
  }

  return (text: string) => {
    const pieces = (unread + text).split(LINE_END);
    unread = pieces.pop() ?? '';
    pieces.forEach(read);
  };
}
