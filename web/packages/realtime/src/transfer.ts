import { pause } from './backoff.js';
import type { UploadAnnouncement, UploadResult, UploadTicket } from './contract.js';
import { aborted, ServiceError } from './errors.js';
import { isOffline, onOnline } from './network.js';
import { newId } from './newId.js';
import type { PutOptions } from './put.js';
import { createReport } from './report.js';
import { putChunks } from './resumable.js';
import type { Transport } from './transport.js';
import { startOver, type UploadEntry, type UploadTask } from './upload.js';

export interface TransferOptions {
  transport: Transport;
  put: (options: PutOptions) => Promise<void>;
  update: (task: UploadTask, change: Partial<UploadEntry>) => void;
}

/** The upload is unknown, over or gone; the file may still be good. */
const LOST = [404, 409, 410];

/** Bring a task from where it stands to the end: init, PUT, complete, each only if still needed. */
export function createTransfer({ transport, put, update }: TransferOptions) {
  return advance;

  async function advance(task: UploadTask): Promise<UploadResult> {
    try {
      return await goOn(task);
    } catch (error) {
      if (!isCalled(error, 'network') || !isOffline()) throw error;
      update(task, { status: 'waiting' });
      const { signal } = task.controller;
      await pause(undefined, signal, onOnline);
      if (signal.aborted) throw aborted();
      return advance(task);
    }
  }

  async function goOn(task: UploadTask): Promise<UploadResult> {
    if (isExpired(task.ticket) && !task.sent) task.ticket = undefined;
    task.ticket ??= await init(task);
    const ticket = task.sent ? task.ticket : await send(task, task.ticket);
    return complete(task, ticket);
  }

  async function init(task: UploadTask): Promise<UploadTicket> {
    task.step = 'init';
    const { file } = task.entry;
    update(task, { status: 'starting', loaded: 0, progress: 0 });
    const ticket = await transport.send<UploadTicket>('POST', '/media/upload/init', {
      body: describeFile(file),
      headers: { 'Idempotency-Key': task.key },
      signal: task.controller.signal,
    });
    task.key = newId();
    task.ending = undefined;
    update(task, { jobId: ticket.jobId });
    return ticket;
  }

  async function send(
    task: UploadTask,
    ticket: UploadTicket,
    mayRenew = true,
  ): Promise<UploadTicket> {
    task.step = 'put';
    update(task, { status: 'sending', ...(!ticket.resumable && { loaded: 0, progress: 0 }) });
    const report = createReport(transport, ticket, task.entry.file.size);
    const onWaiting = (waiting: boolean) =>
      update(task, { status: waiting ? 'waiting' : 'sending' });
    const options: PutOptions = {
      url: transport.resolve(ticket.uploadURL),
      body: task.entry.file,
      headers: ticket.headers ?? {},
      signal: task.controller.signal,
      onProgress(loaded) {
        update(task, measure(task.entry.file, loaded));
        report(loaded);
      },
    };
    try {
      await (ticket.resumable
        ? putChunks({ ...options, ...ticket.resumable, onWaiting })
        : put(options));
    } catch (error) {
      // The address has expired, or 412: an earlier try's bytes are there; complete will check them.
      if (statusOf(error) === 403 || isCalled(error, 'expired')) {
        task.ticket = undefined;
        if (!mayRenew) throw error;
        task.ticket = await init(task);
        return send(task, task.ticket, false);
      }
      if (statusOf(error) !== 412) throw abandon(task, error);
    }
    task.sent = true;
    update(task, { loaded: task.entry.file.size, progress: 99 });
    return ticket;
  }

  async function complete(task: UploadTask, { objectPath }: UploadTicket): Promise<UploadResult> {
    task.step = 'complete';
    update(task, { status: 'completing' });
    try {
      const { url, path } = await transport.send<UploadResult>('POST', '/media/upload/complete', {
        body: { objectPath },
        signal: task.controller.signal,
      });
      return { url, path };
    } catch (error) {
      throw abandon(task, error);
    }
  }
}

/** Once the service has done with an upload, only a new beginning can help, if anything can. */
function abandon(task: UploadTask, error: unknown): unknown {
  if (!(error instanceof ServiceError) || error.retryable || error.status < 404) return error;
  startOver(task);
  const lost = LOST.includes(error.status) && error.code !== 'upload_failed';
  return lost ? Object.assign(error, { retryable: true }) : error;
}

function describeFile({ name, type, size }: File): UploadAnnouncement {
  return { filename: name, contentType: type || 'application/octet-stream', size };
}

function measure(file: File, loaded: number): Pick<UploadEntry, 'loaded' | 'progress'> {
  return { loaded, progress: Math.min(99, Math.floor((loaded / (file.size || 1)) * 100)) };
}

function isExpired(ticket: UploadTicket | undefined): boolean {
  return !!ticket?.expiresAt && Date.parse(ticket.expiresAt) <= Date.now();
}

function isCalled(error: unknown, code: string): boolean {
  return error instanceof ServiceError && error.code === code;
}

function statusOf(error: unknown): number {
  return error instanceof ServiceError ? error.status : 0;
}
