import { act, fireEvent, render, screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { StrictMode } from 'react';
import { expect, test, vi } from 'vitest';
import {
  MediaUploader,
  type MediaUploaderProps,
  type UploadCallOptions,
  type UploadedMedia,
} from '../src/index.js';

const media = { url: 'https://cdn/sea.png', path: 'media/u/j/sea.png' };
const png = (name: string, size = 10) =>
  new File([new Uint8Array(size)], name, { type: 'image/png' });

interface Call extends UploadCallOptions {
  file: File;
  finish(media: UploadedMedia): void;
  fail(error: Error): void;
}

function setUp(props: Partial<MediaUploaderProps> = {}) {
  const calls: Call[] = [];
  const upload = vi.fn((file: File, options: UploadCallOptions = {}) => {
    return new Promise<UploadedMedia>((finish, fail) => {
      calls.push({ file, ...options, finish, fail });
      options.signal?.addEventListener('abort', () => fail(new Error('Cancelled.')));
    });
  });
  const onUploadComplete = vi.fn();
  const view = render(
    <StrictMode>
      <MediaUploader upload={upload} onUploadComplete={onUploadComplete} {...props} />
    </StrictMode>,
  );
  const input = view.container.querySelector('input[type=file]') as HTMLInputElement;
  const zone = screen.getByRole('region', { name: 'Upload' });
  const choose = (...files: File[]) => userEvent.upload(input, files, { applyAccept: false });
  const call = (index = 0) => calls[index] as Call;
  return { calls, call, upload, onUploadComplete, choose, zone, input };
}

test('each file has its own real progress, and completion is told', async () => {
  const { choose, call, onUploadComplete } = setUp();
  await choose(png('a.png'), png('b.png'));
  const bar = (name: string) => screen.getByRole('progressbar', { name: `Uploading ${name}` });
  expect(bar('a.png').hasAttribute('value')).toBe(false);
  act(() => call(0).onProgress?.(40));
  expect(bar('a.png').getAttribute('value')).toBe('40');
  expect(bar('b.png').hasAttribute('value')).toBe(false);
  await act(async () => call(0).finish(media));
  expect(onUploadComplete).toHaveBeenCalledExactlyOnceWith(media, call(0).file);
});

test('three files go at once', async () => {
  const { choose, calls, call } = setUp();
  await choose(...['a', 'b', 'c', 'd'].map((name) => png(name)));
  expect(calls).toHaveLength(3);
  await act(async () => call(0).finish(media));
  expect(calls).toHaveLength(4);
});

test('a failed file says why and is tried again by itself', async () => {
  const { choose, call, calls } = setUp();
  await choose(png('a.png'));
  await act(async () => call().fail(new Error('The connection to storage broke.')));
  expect(screen.getByText('The connection to storage broke.')).toBeTruthy();
  await userEvent.click(screen.getByRole('button', { name: 'Retry a.png' }));
  expect(calls).toHaveLength(2);
  expect(call(1).file).toBe(call(0).file);
});

test('what cannot help again offers no retry', async () => {
  const { choose, call } = setUp();
  await choose(png('a.png'));
  await act(async () => call().fail(Object.assign(new Error('Too large.'), { retryable: false })));
  expect(screen.queryByRole('button', { name: 'Retry a.png' })).toBeNull();
  await userEvent.click(screen.getByRole('button', { name: 'Remove a.png' }));
  expect(screen.queryByText('a.png')).toBeNull();
});

test('cancel aborts the upload and takes its row away', async () => {
  const { choose, call } = setUp();
  await choose(png('a.png'));
  await userEvent.click(screen.getByRole('button', { name: 'Cancel a.png' }));
  expect(call().signal?.aborted).toBe(true);
  expect(screen.queryByText('a.png')).toBeNull();
});

test('files of another type or size are refused before a byte is sent', async () => {
  const { choose, upload } = setUp({ accept: 'image/*', maxSize: 1000 });
  await choose(png('big.png', 2000), new File(['x'], 'a.txt', { type: 'text/plain' }));
  expect(upload).not.toHaveBeenCalled();
  expect(screen.getByText('Larger than 1 kB.')).toBeTruthy();
  expect(screen.getByText('text/plain is not accepted here.')).toBeTruthy();
});

test('dropped and pasted files are uploaded, dropped text is not', async () => {
  const { zone, upload } = setUp();
  const drop = (types: string[], files: File[]) =>
    fireEvent.drop(zone, { dataTransfer: { types, files } });
  drop(['text/plain'], []);
  expect(upload).not.toHaveBeenCalled();
  drop(['Files'], [png('a.png')]);
  await waitFor(() => expect(upload).toHaveBeenCalledTimes(1));
  fireEvent.paste(zone, { clipboardData: { files: [png('b.png')] } });
  await waitFor(() => expect(upload).toHaveBeenCalledTimes(2));
});

test('the zone shows that it will take the files until they have left', () => {
  const { zone } = setUp();
  const event = { dataTransfer: { types: ['Files'], files: [] } };
  fireEvent.dragEnter(zone, event);
  fireEvent.dragEnter(zone, event);
  fireEvent.dragLeave(zone, event);
  expect(zone.hasAttribute('data-over')).toBe(true);
  fireEvent.dragLeave(zone, event);
  expect(zone.hasAttribute('data-over')).toBe(false);
});

test('with dropTarget="page" a drop anywhere counts', async () => {
  const { upload } = setUp({ dropTarget: 'page' });
  fireEvent.drop(document.body, { dataTransfer: { types: ['Files'], files: [png('a.png')] } });
  await waitFor(() => expect(upload).toHaveBeenCalledTimes(1));
});

test('the keyboard reaches the chooser and Enter opens it', async () => {
  const { input } = setUp();
  const click = vi.spyOn(input, 'click');
  await userEvent.tab();
  expect(document.activeElement).toBe(screen.getByRole('button', { name: /Choose files/ }));
  await userEvent.keyboard('{Enter}');
  expect(click).toHaveBeenCalledOnce();
});

test('screen readers hear the counts', async () => {
  const { choose, call } = setUp();
  await choose(png('a.png'), png('b.png'));
  expect(screen.getByRole('status').textContent).toBe('2 uploading');
  await act(async () => call(0).finish(media));
  await act(async () => call(1).fail(new Error('No.')));
  expect(screen.getByRole('status').textContent).toBe('1 uploaded, 1 failed');
});

test('an upload function that tells nothing shows the shared progress of a single file', async () => {
  const { choose } = setUp({ isUploading: true, progress: 30 });
  await choose(png('a.png'));
  expect(screen.getByRole('progressbar').getAttribute('value')).toBe('30');
});

test('a picture that cannot be decoded has a calm face instead of a broken one', async () => {
  const { choose, zone } = setUp();
  await choose(png('liar.png'));
  fireEvent.error(zone.querySelector('img.pu-thumb') as HTMLImageElement);
  expect(zone.querySelector('img')).toBeNull();
  expect(zone.querySelector('.pu-thumb svg')).not.toBeNull();
});

test('over plain http off localhost files are taken too', async () => {
  vi.stubGlobal('crypto', {});
  const { choose, upload } = setUp();
  await choose(png('a.png'), png('b.png'));
  expect(upload).toHaveBeenCalledTimes(2);
});
