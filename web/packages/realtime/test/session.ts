/** A bucket's resumable session, as Google documents it, behind a stand-in for XMLHttpRequest. */
const QUANTUM = 256; // Google's is 256 KiB; a thousandth is quicker to compare

/** What goes wrong with one request: it breaks after so many bytes, is answered so, or never. */
export type Fault = { cutAfter: number } | { status: number } | 'silence' | 'lost answer';

interface Answer {
  status: number;
  range?: string;
  text?: string;
}

export function createSession(total: number) {
  const faults: (Fault | undefined)[] = [];
  const log: string[] = [];
  const bytes = new Uint8Array(total);
  let held = 0;
  let tellsRange = true;

  function take(body: Uint8Array, range: string): Answer {
    const asked = /^bytes \*\/(\d+)$/.exec(range);
    const sent = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(range);
    if (Number((asked ?? sent)?.at(-1)) !== total) return { status: 400, text: 'InvalidArgument' };
    if (!sent) return asked && body.length === 0 ? standing() : { status: 400 };
    const [from, to] = [Number(sent[1]), Number(sent[2])];
    if (to - from + 1 !== body.length || from > held) return { status: 400 };
    if (to + 1 < total && body.length % QUANTUM !== 0) return { status: 400 };
    persist(from, body);
    return standing();
  }

  function persist(from: number, body: Uint8Array) {
    bytes.set(body, from);
    held = Math.max(held, from + body.length);
  }

  function standing(): Answer {
    if (held === total) return { status: 200 };
    return { status: 308, ...(held > 0 && tellsRange && { range: `bytes=0-${held - 1}` }) };
  }

  class Request {
    upload: { onprogress?: (event: { loaded: number }) => void } = {};
    status = 0;
    responseText = '';
    onload?: () => void;
    onerror?: () => void;
    onabort?: () => void;
    onloadend?: () => void;
    private headers = new Map<string, string>();
    private range: string | undefined;
    private over = false;

    open() {}

    setRequestHeader(name: string, value: string) {
      if (this.headers.has(name)) throw new Error(`${name} was set twice`);
      this.headers.set(name, value);
    }

    getResponseHeader(name: string) {
      return name === 'range' ? (this.range ?? null) : null;
    }

    abort() {
      this.finish(() => this.onabort?.());
    }

    async send(blob: Blob) {
      const range = this.headers.get('content-range') ?? '';
      log.push(range);
      const fault = faults.shift();
      const body = new Uint8Array(await blob.arrayBuffer());
      if (this.over) return;
      if (fault === 'silence') return;
      if (fault && typeof fault === 'object' && 'cutAfter' in fault) {
        const kept = body.slice(0, Math.floor(fault.cutAfter / QUANTUM) * QUANTUM);
        if (kept.length > 0) persist(Number(/\d+/.exec(range)?.[0]), kept);
        this.upload.onprogress?.({ loaded: fault.cutAfter });
        return this.finish(() => this.onerror?.());
      }
      if (fault && typeof fault === 'object') return this.answer(fault);
      const answer = take(body, range);
      if (body.length > 0) this.upload.onprogress?.({ loaded: body.length });
      if (fault === 'lost answer') return this.finish(() => this.onerror?.());
      this.answer(answer);
    }

    private answer({ status, range, text = '' }: Answer) {
      this.status = status;
      this.range = range;
      this.responseText = text && `<Error><Code>${text}</Code></Error>`;
      this.finish(() => this.onload?.());
    }

    private finish(tell: () => void) {
      if (this.over) return;
      this.over = true;
      tell();
      this.onloadend?.();
    }
  }

  return {
    Request,
    holds: (content: Uint8Array) => held === total && Buffer.compare(bytes, content) === 0,
    log,
    /** What happens to the next requests, one after the other; undefined is nothing. */
    next: (...coming: (Fault | undefined)[]) => void faults.push(...coming),
    hideRange() {
      tellsRange = false;
    },
  };
}
