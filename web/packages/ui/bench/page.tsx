// One list of many items, ours or React Aria's: how long to show it, and to put one more on top.
import { MediaLibrary } from '@project/ui';
import type { ReactNode } from 'react';
import { GridLayout, GridList, GridListItem, Size, Virtualizer } from 'react-aria-components';
import { flushSync } from 'react-dom';
import { createRoot } from 'react-dom/client';

interface Item {
  path: string;
  url: string;
}
export interface Measured {
  mount: number;
  insert: number;
  tiles: number;
}

const PIXEL = 'data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==';
const noop = () => undefined;

const lists: Record<string, (items: readonly Item[]) => ReactNode> = {
  ours: (items) => <MediaLibrary items={items} onDelete={noop} />,
  aria: (items) => (
    <Virtualizer
      layout={GridLayout}
      layoutOptions={{ minItemSize: new Size(176, 176), minSpace: new Size(12, 12) }}
    >
      <GridList
        aria-label="Library"
        layout="grid"
        selectionMode="multiple"
        items={items}
        style={{ display: 'block', blockSize: '100vh', overflow: 'auto' }}
      >
        {(item) => (
          <GridListItem id={item.path} textValue={item.path}>
            <img src={item.url} alt={item.path} width={160} height={160} />
          </GridListItem>
        )}
      </GridList>
    </Virtualizer>
  ),
};

const make = (count: number): Item[] =>
  Array.from({ length: count }, (_, nth) => ({ path: `media/u/images/${nth}.png`, url: PIXEL }));

/** Until this picture is in the page and the frame that shows it has been handed over. */
async function shown(name: string, begun: number): Promise<number> {
  while (!document.querySelector(`img[alt$="${name}"]`)) await frame();
  document.body.getBoundingClientRect();
  await frame();
  return performance.now() - begun;
}

const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));

async function measure(kind: string, count: number): Promise<Measured> {
  const place = document.body.appendChild(document.createElement('div'));
  const root = createRoot(place);
  const list = lists[kind] as (items: readonly Item[]) => ReactNode;
  const show = (items: readonly Item[]) => flushSync(() => root.render(list(items)));
  const items = make(count);
  await frame();
  let begun = performance.now();
  show(items);
  const mount = await shown('0.png', begun);
  await new Promise((resolve) => setTimeout(resolve, 200));
  begun = performance.now();
  show([{ path: 'media/u/images/new.png', url: PIXEL }, ...items]);
  const insert = await shown('new.png', begun);
  const tiles = place.querySelectorAll('img').length;
  root.unmount();
  place.remove();
  return { mount, insert, tiles };
}

Object.assign(window, { measure });
