import type { UploadResult, UploadTicket } from './contract.js';
import { ServiceError } from './errors.js';
import type { PutOptions } from './put.js';
import type { Transport } from './transport.js';
import { startOver, type UploadEntry, type UploadTask } from './upload.js';

export interface TransferOptions {
  transport: Transport;
  put: (options: PutOptions) => Promise<void>;
  update: (task: UploadTask, change: Partial<UploadEntry>) => void;
}

/** Bring a task from where it stands to the end: init, PUT, complete, each only if still needed. */
export function createTransfer({ transport, put, update }: TransferOptions) {
  return advance;

  async function advance(task: UploadTask): Promise<UploadResult> {
    if (isExpired(task.ticket) && !task.sent) task.ticket = undefined;
    task.ticket ??= await init(task);
    if (!task.sent) await send(task, task.ticket);
    return complete(task, task.ticket);
  }

  async function init(task: UploadTask): Promise<UploadTicket> {
    task.step = 'init';
    const { file } = task.entry;
    update(task, { status: 'starting', loaded: 0, progress: 0 });
    const ticket = await transport.send<UploadTicket>('POST', '/media/upload/init', {
      body: { filename: file.name, contentType: contentTypeOf(file), size: file.size },
      headers: { 'Idempotency-Key': task.key },
      signal: task.controller.signal,
    });
    task.key = crypto.randomUUID();
    update(task, { jobId: ticket.jobId });
    return ticket;
  }

  async function send(task: UploadTask, ticket: UploadTicket, mayRenew = true): Promise<void> {
    task.step = 'put';
    update(task, { status: 'sending', loaded: 0, progress: 0 });
    try {
      await put({
        url: transport.resolve(ticket.uploadURL),
        body: task.entry.file,
        headers: ticket.headers ?? {},
        signal: task.controller.signal,
        onProgress: (loaded) => update(task, measure(task.entry.file, loaded)),
      });
    } catch (error) {
      // 412: the bytes of an earlier try are there already; complete will check them.
      if (statusOf(error) === 412) return markSent(task);
      if (statusOf(error) !== 403) throw error;
      task.ticket = undefined;
      if (!mayRenew) throw error;
      task.ticket = await init(task);
      return send(task, task.ticket, false);
    }
    markSent(task);
  }

  function markSent(task: UploadTask) {
    task.sent = true;
    update(task, { loaded: task.entry.file.size, progress: 99 });
  }

  async function complete(task: UploadTask, { objectPath }: UploadTicket): Promise<UploadResult> {
    task.step = 'complete';
    update(task, { status: 'completing' });
    try {
      const { url, path } = await transport.send<UploadResult>('POST', '/media/upload/complete', {
        body: { objectPath: task.ticket?.objectPath ?? objectPath },
        signal: task.controller.signal,
      });
      return { url, path };
    } catch (error) {
      // The service no longer has the object: only a new beginning can help.
      if ([404, 409, 410].includes(statusOf(error))) startOver(task);
      throw error;
    }
  }
}

function contentTypeOf(file: File): string {
  return file.type || 'application/octet-stream';
}

function measure(file: File, loaded: number): Pick<UploadEntry, 'loaded' | 'progress'> {
  return { loaded, progress: Math.min(99, Math.floor((loaded / (file.size || 1)) * 100)) };
}

function isExpired(ticket: UploadTicket | undefined): boolean {
  return !!ticket?.expiresAt && Date.parse(ticket.expiresAt) <= Date.now();
}

function statusOf(error: unknown): number {
  return error instanceof ServiceError ? error.status : 0;
}
