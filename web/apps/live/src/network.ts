import type { Service } from './service.ts';

/** How much of a file goes over the line in one beat, and how long a beat is. */
const [CHUNK, BEAT] = [48_000, 120];

/** Lead what this page asks to the service that is played in it. Nothing leaves the page. */
export function connect(service: Service) {
  globalThis.fetch = async (target, init = {}) => {
    init.signal?.throwIfAborted();
    const url = new URL(String(target), location.href);
    return service.answer(init.method ?? 'GET', url, String(init.body ?? ''), init.signal);
  };
  globalThis.XMLHttpRequest = class extends Sending {
    protected override store(file: Blob) {
      return service.store(this.address, file);
    }
  } as never;
}

/** As much of an XMLHttpRequest as sends a file: it tells its progress as the bytes go. */
abstract class Sending {
  upload: { onprogress?: (event: { loaded: number; total: number }) => void } = {};
  onload?: () => void;
  onerror?: () => void;
  onabort?: () => void;
  onloadend?: () => void;
  status = 0;
  responseText = '';
  protected address = '';
  private timer = 0;

  open(_method: string, address: string) {
    this.address = address;
  }

  setRequestHeader() {}

  getResponseHeader(): null {
    return null;
  }

  send(file: Blob) {
    let loaded = 0;
    this.timer = window.setInterval(() => {
      loaded = Math.min(file.size, loaded + Math.max(CHUNK, file.size / 25));
      this.upload.onprogress?.({ loaded, total: file.size });
      if (loaded === file.size) this.end(this.store(file), this.onload);
    }, BEAT);
  }

  abort() {
    this.end(0, this.onabort);
  }

  /** Take the whole file; the answer is a status. */
  protected abstract store(file: Blob): number;

  private end(status: number, tell?: () => void) {
    clearInterval(this.timer);
    this.status = status;
    tell?.();
    this.onloadend?.();
  }
}
