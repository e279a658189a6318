import { act, cleanup, fireEvent, render, screen, waitFor, within } from '@testing-library/react';
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
  const film = tile('wave.mp4, 1:05');
  expect(film.querySelector('video')?.getAttribute('src')).toBe('https://cdn/v.mp4');
  expect(film.textContent).toBe('1:05');
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

const names = () =>
  screen.queryAllByRole('row').map((row) => row.querySelector('img')?.getAttribute('alt'));
const press = (name: string) => userEvent.click(screen.getByRole('button', { name }));

test('a deleted item goes at once, is deleted when the time to undo is over', async () => {
  const onDelete = vi.fn();
  render(<Deleting onDelete={onDelete} undoMs={300} />);
  await press('Delete b.png');
  expect(names()).toEqual(['a.png', 'c.png']);
  expect(onDelete).not.toHaveBeenCalled();
  await waitFor(() => expect(onDelete).toHaveBeenCalledExactlyOnceWith('media/u/images/b.png'));
  expect(screen.queryByText('Deleted 1')).toBeNull();
});

test('Undo brings everything back, and nothing is deleted, not even on leaving', async () => {
  const onDelete = vi.fn();
  const view = render(<Deleting onDelete={onDelete} />);
  await press('Delete a.png');
  await press('Delete c.png');
  expect(screen.getByText('Deleted 2')).toBeTruthy();
  await press('Undo');
  expect(names()).toEqual(['a.png', 'b.png', 'c.png']);
  view.unmount();
  expect(onDelete).not.toHaveBeenCalled();
});

test.each([
  ['the page is hidden', () => window.dispatchEvent(new Event('pagehide'))],
  ['the library is unmounted', () => cleanup()],
])('what waits to be deleted is deleted when %s', async (_, leave) => {
  const onDelete = vi.fn();
  render(<Deleting onDelete={onDelete} />);
  await press('Delete b.png');
  act(leave);
  expect(onDelete).toHaveBeenCalledExactlyOnceWith('media/u/images/b.png');
});

test('an item that could not be deleted comes back with a way to try again', async () => {
  const onDelete = vi.fn().mockRejectedValueOnce(new Error('No.'));
  render(<MediaLibrary items={items} onDelete={onDelete} undoMs={1} />);
  await press('Delete b.png');
  await screen.findByText('1 could not be deleted.');
  expect(names()).toEqual(['a.png', 'b.png', 'c.png']);
  await press('Try again');
  await waitFor(() => expect(onDelete).toHaveBeenCalledTimes(2));
});

test('many are deleted by one call where there is one, and those refused come back', async () => {
  const onDeleteMany = vi.fn(async () => ['media/u/images/c.png']);
  render(<MediaLibrary items={items} onDeleteMany={onDeleteMany} undoMs={1} />);
  await userEvent.tab();
  await userEvent.keyboard('{Control>}a{/Control}{Delete}');
  await screen.findByText('1 could not be deleted.');
  expect(onDeleteMany).toHaveBeenCalledExactlyOnceWith(items.map(({ path }) => path));
  expect(names()).toEqual(['c.png']);
});

test('Space and Shift with arrows select, Escape lets go, Delete takes what is selected', async () => {
  const [onDelete, onSelectionChange] = [vi.fn(), vi.fn()];
  render(<Deleting onDelete={onDelete} onSelectionChange={onSelectionChange} undoMs={1} />);
  await userEvent.tab();
  await userEvent.keyboard(' {Shift>}{ArrowRight}{/Shift}');
  const [first, second] = items.map(({ path }) => path);
  expect(onSelectionChange).toHaveBeenLastCalledWith([first, second]);
  expect(screen.getAllByRole('gridcell', { selected: true })).toHaveLength(2);
  await userEvent.keyboard('{Escape}');
  expect(screen.queryByRole('toolbar')).toBeNull();
  await userEvent.keyboard('{Home} {ArrowRight} {Delete}');
  await waitFor(() => expect(onDelete.mock.calls).toEqual([[first], [second]]));
});

test('a range that shrinks lets go of what it had taken', async () => {
  const onSelectionChange = vi.fn();
  render(<MediaLibrary items={items} onSelectionChange={onSelectionChange} />);
  await userEvent.tab();
  await userEvent.keyboard('{Shift>}{ArrowRight}{ArrowRight}{ArrowLeft}{/Shift}');
  expect(onSelectionChange).toHaveBeenLastCalledWith(items.slice(0, 2).map(({ path }) => path));
});

test('Shift and click select a range, a further click adds one and opens nothing', async () => {
  const onSelectionChange = vi.fn();
  const user = userEvent.setup();
  render(<MediaLibrary items={items} onSelectionChange={onSelectionChange} />);
  await user.click(screen.getByRole('button', { name: 'Select a.png' }));
  await user.keyboard('{Shift>}');
  await user.click(tile('b.png'));
  await user.keyboard('{/Shift}');
  await user.click(tile('c.png'));
  expect(onSelectionChange).toHaveBeenLastCalledWith(items.map(({ path }) => path));
  expect(screen.queryByRole('dialog')).toBeNull();
});

test('the Delete key deletes, and the focus goes to the tile that took the place', async () => {
  render(<Deleting />);
  await userEvent.tab();
  await userEvent.keyboard('{Delete}');
  expect(names()).toEqual(['b.png', 'c.png']);
  expect(document.activeElement).toBe(tile('b.png'));
});

test('a newcomer below the eye is shown, one above it is counted until it is asked for', async () => {
  const view = render(<MediaLibrary items={items} />);
  const list = view.container.querySelector('.pu-library') as HTMLElement;
  const scrollTo = (top: number) => {
    vi.spyOn(list, 'getBoundingClientRect').mockReturnValue({ top } as DOMRect);
    fireEvent.scroll(window);
  };
  scrollTo(-500);
  const item = (name: string) => ({ path: name, url: `https://cdn/${name}` });
  view.rerender(<MediaLibrary items={[item('new.png'), ...items, item('old.png')]} />);
  expect(names()).toEqual(['a.png', 'b.png', 'c.png', 'old.png']);
  await press('1 new');
  expect(names()).toEqual(['new.png', 'a.png', 'b.png', 'c.png', 'old.png']);
  expect(document.activeElement).toBe(tile('new.png'));
});

test('words are replaced by those given', () => {
  render(
    <MediaLibrary
      items={items}
      onDelete={vi.fn()}
      messages={{ deleteOne: (n) => `Lösche ${n}` }}
    />,
  );
  expect(screen.getByRole('button', { name: 'Lösche a.png' })).toBeTruthy();
});

test('a library offline says so and reads again when the network is back', () => {
  const onRetry = vi.fn();
  vi.spyOn(navigator, 'onLine', 'get').mockReturnValue(false);
  const error = Object.assign(new Error('Unreachable.'), { code: 'network' });
  render(<MediaLibrary items={[]} error={error} onRetry={onRetry} />);
  expect(screen.getByRole('alert').textContent).toContain('You are offline');
  fireEvent(window, new Event('online'));
  expect(onRetry).toHaveBeenCalledOnce();
});

test('a library nobody may see asks to sign in, and offers no retry', () => {
  const error = Object.assign(new Error('401'), { status: 401 });
  render(<MediaLibrary items={[]} error={error} onRetry={vi.fn()} />);
  expect(screen.getByRole('alert').textContent).toContain('Sign in');
  expect(screen.queryByRole('button', { name: 'Try again' })).toBeNull();
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

test('deleting in the lightbox goes on to the next item, and can be undone there', async () => {
  const onDelete = vi.fn();
  render(<Deleting onDelete={onDelete} />);
  await userEvent.click(tile('a.png'));
  const dialog = screen.getByRole('dialog');
  await userEvent.click(within(dialog).getByRole('button', { name: 'Delete' }));
  expect(within(dialog).getByRole('img').getAttribute('src')).toBe('https://cdn/b');
  await userEvent.click(within(dialog).getByRole('button', { name: 'Undo' }));
  await userEvent.keyboard('{ArrowLeft}');
  expect(within(dialog).getByRole('img').getAttribute('src')).toBe('https://cdn/a');
  expect(onDelete).not.toHaveBeenCalled();
});

test('where nothing can be undone the lightbox asks before it deletes', async () => {
  const onDelete = vi.fn();
  render(<Deleting onDelete={onDelete} undoMs={0} />);
  await userEvent.click(tile('a.png'));
  const dialog = screen.getByRole('dialog');
  await userEvent.click(within(dialog).getByRole('button', { name: 'Delete' }));
  expect(onDelete).not.toHaveBeenCalled();
  await userEvent.click(within(dialog).getByRole('button', { name: 'Press again to delete' }));
  expect(onDelete).toHaveBeenCalledExactlyOnceWith('media/u/images/a.png');
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
