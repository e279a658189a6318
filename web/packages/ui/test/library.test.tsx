import { render, screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { useState } from 'react';
import { expect, test, vi } from 'vitest';
import { MediaLibrary, type MediaLibraryProps } from '../src/index.js';

interface Item {
  path: string;
  url: string;
  contentType?: string;
}

const items: Item[] = ['a', 'b', 'c'].map((name) => ({
  path: `media/u/images/${name}.png`,
  url: `https://cdn/${name}`,
}));
const tile = (name: string) => screen.getByRole('button', { name: `Open ${name}` });

function Deleting({ onDelete, ...props }: Partial<MediaLibraryProps<Item>>) {
  const [shown, setShown] = useState(items);
  const remove = (path: string) => {
    setShown(shown.filter((item) => item.path !== path));
    onDelete?.(path);
  };
  return <MediaLibrary {...props} items={shown} onDelete={remove} />;
}

test('a bare item of path and url is a picture with a name', () => {
  render(<MediaLibrary items={items} />);
  const image = within(tile('a.png')).getByRole('img', { name: 'a.png' });
  expect(image.getAttribute('src')).toBe('https://cdn/a');
});

test('videos and files have their own faces', () => {
  const video = {
    path: 'v',
    url: 'https://cdn/v.mp4',
    contentType: 'video/mp4',
    name: 'wave.mp4',
    duration: 65,
  };
  const file = {
    path: 'f',
    url: 'https://cdn/f',
    contentType: 'application/pdf',
    name: 'notes.pdf',
  };
  render(<MediaLibrary items={[video, file]} />);
  expect(tile('wave.mp4').querySelector('video')?.getAttribute('src')).toBe('https://cdn/v.mp4');
  expect(tile('wave.mp4').textContent).toBe('1:05');
  expect(tile('notes.pdf').querySelector('img, video')).toBeNull();
});

test('the grid is one tab stop, and arrows, Home and End walk it', async () => {
  render(<MediaLibrary items={items} />);
  await userEvent.tab();
  expect(document.activeElement).toBe(tile('a.png'));
  await userEvent.keyboard('{ArrowRight}');
  expect(document.activeElement).toBe(tile('b.png'));
  await userEvent.keyboard('{End}');
  expect(document.activeElement).toBe(tile('c.png'));
  await userEvent.keyboard('{ArrowRight}{Home}');
  expect(document.activeElement).toBe(tile('a.png'));
  expect(tile('b.png').tabIndex).toBe(-1);
});

test('the tab stop stays on its item when a new one comes before it', async () => {
  const view = render(<MediaLibrary items={items} />);
  await userEvent.tab();
  view.rerender(<MediaLibrary items={[{ path: 'new', url: 'https://cdn/new' }, ...items]} />);
  expect(document.activeElement).toBe(tile('a.png'));
  expect(tile('a.png').tabIndex).toBe(0);
  expect(tile('new').tabIndex).toBe(-1);
});

test('delete asks once and acts on the second press', async () => {
  const onDelete = vi.fn();
  render(<Deleting onDelete={onDelete} />);
  await userEvent.click(screen.getByRole('button', { name: 'Delete b.png' }));
  expect(onDelete).not.toHaveBeenCalled();
  await userEvent.click(screen.getByRole('button', { name: 'Press again to delete b.png' }));
  expect(onDelete).toHaveBeenCalledExactlyOnceWith('media/u/images/b.png');
});

test('the Delete key deletes, and the focus goes to the tile that took the place', async () => {
  const onDelete = vi.fn();
  render(<Deleting onDelete={onDelete} />);
  await userEvent.tab();
  await userEvent.keyboard('{Delete}{Delete}');
  expect(onDelete).toHaveBeenCalledExactlyOnceWith('media/u/images/a.png');
  expect(document.activeElement).toBe(tile('b.png'));
});

test('Escape takes the question back', async () => {
  const onDelete = vi.fn();
  render(<Deleting onDelete={onDelete} />);
  await userEvent.tab();
  await userEvent.keyboard('{Delete}{Escape}{Delete}');
  expect(onDelete).not.toHaveBeenCalled();
});

test('an item that leaves by itself does not draw the focus into the grid', () => {
  const view = render(<MediaLibrary items={items} />);
  view.rerender(<MediaLibrary items={items.slice(1)} />);
  expect(document.activeElement).toBe(document.body);
});

test('without onDelete nothing offers to delete', () => {
  render(<MediaLibrary items={items} />);
  expect(screen.queryByRole('button', { name: /Delete/ })).toBeNull();
});

test('Enter opens the item large, arrows walk, Escape-like closing gives the focus back', async () => {
  render(<MediaLibrary items={items} />);
  await userEvent.tab();
  await userEvent.keyboard('{Enter}');
  const dialog = screen.getByRole('dialog');
  expect(within(dialog).getByRole('img').getAttribute('src')).toBe('https://cdn/a');
  await userEvent.keyboard('{ArrowRight}');
  expect(within(dialog).getByRole('img').getAttribute('src')).toBe('https://cdn/b');
  await userEvent.click(within(dialog).getByRole('button', { name: 'Close' }));
  expect(screen.queryByRole('dialog')).toBeNull();
});

test('deleting in the lightbox goes on to the next item', async () => {
  const onDelete = vi.fn();
  render(<Deleting onDelete={onDelete} />);
  await userEvent.click(tile('a.png'));
  const dialog = screen.getByRole('dialog');
  await userEvent.click(within(dialog).getByRole('button', { name: 'Delete' }));
  await userEvent.click(within(dialog).getByRole('button', { name: 'Press again to delete' }));
  expect(onDelete).toHaveBeenCalledExactlyOnceWith('media/u/images/a.png');
  expect(within(dialog).getByRole('img').getAttribute('src')).toBe('https://cdn/b');
});

test('onOpen takes the place of the lightbox', async () => {
  const onOpen = vi.fn();
  render(<MediaLibrary items={items} onOpen={onOpen} />);
  await userEvent.click(tile('c.png'));
  expect(onOpen).toHaveBeenCalledWith(items[2]);
  expect(screen.queryByRole('dialog')).toBeNull();
});

test('loading, failed, empty and more each look different', async () => {
  const [onRetry, onLoadMore] = [vi.fn(), vi.fn()];
  const view = render(<MediaLibrary items={[]} loading />);
  expect(screen.getByRole('status', { name: 'Loading' })).toBeTruthy();
  view.rerender(<MediaLibrary items={[]} error={new Error('Broke.')} onRetry={onRetry} />);
  expect(screen.getByRole('alert').textContent).toContain('Broke.');
  await userEvent.click(screen.getByRole('button', { name: 'Try again' }));
  expect(onRetry).toHaveBeenCalledOnce();
  view.rerender(<MediaLibrary items={[]} emptyState="Bare shelves" />);
  expect(screen.getByText('Bare shelves')).toBeTruthy();
  view.rerender(<MediaLibrary items={items} hasMore onLoadMore={onLoadMore} />);
  await userEvent.click(screen.getByRole('button', { name: 'Load more' }));
  expect(onLoadMore).toHaveBeenCalledOnce();
});

test('where the page has no clipboard no address is offered to copy', async () => {
  vi.spyOn(navigator, 'clipboard', 'get').mockReturnValue(undefined as never);
  render(<MediaLibrary items={items} />);
  await userEvent.click(tile('a.png'));
  expect(screen.getByRole('dialog')).toBeTruthy();
  expect(screen.queryByRole('button', { name: 'Copy address' })).toBeNull();
});
