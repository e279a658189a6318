import { randomUUID } from 'node:crypto';
import AxeBuilder from '@axe-core/playwright';
import { test as base, expect, type Page } from '@playwright/test';
import { paintPng } from './picture.ts';
import { Studio } from './studio.ts';

export { expect };

export const test = base.extend<{ studio: Studio; complaints: string[] }>({
  complaints: [
    async ({ page }, use) => {
      const complaints: string[] = [];
      page.on('pageerror', (error) => complaints.push(error.message));
      page.on('console', (message) => {
        if (/Content Security Policy|Warning:/.test(message.text()))
          complaints.push(message.text());
      });
      await use(complaints);
      expect(complaints).toEqual([]);
    },
    { auto: true },
  ],
  studio: async ({ page }, use) => {
    const studio = new Studio(page);
    await studio.open();
    await use(studio);
  },
});

export const unique = (words: string) => `${words} ${randomUUID().slice(0, 8)}`;
export const png = (name: string) => ({
  name,
  mimeType: 'image/png',
  buffer: paintPng({ hue: 30 }),
});

/** Nothing to complain of for axe, once no colour is on its way to another. */
export async function expectAccessible(page: Page) {
  await page.evaluate(async () => {
    const slides = document.getAnimations().filter((one) => one instanceof CSSTransition);
    await Promise.allSettled(slides.map(({ finished }) => finished));
  });
  const { violations } = await new AxeBuilder({ page }).analyze();
  expect(violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)).toEqual([]);
}

export interface MadeFile {
  name: string;
  type: string;
  bytes: number[];
}

/** Hold files over the page, as a person drags them in. */
export async function drag(page: Page, files: readonly MadeFile[]) {
  const dataTransfer = await page.evaluateHandle((files) => {
    const made = new DataTransfer();
    for (const { name, type, bytes } of files)
      made.items.add(new File([new Uint8Array(bytes)], name, { type }));
    return made;
  }, files);
  await page.dispatchEvent('body', 'dragenter', { dataTransfer });
  await expect(page.getByText('Drop to upload')).toBeVisible();
  return dataTransfer;
}

/** Let go of files over the page. */
export async function drop(page: Page, files: readonly MadeFile[]) {
  await page.dispatchEvent('body', 'drop', { dataTransfer: await drag(page, files) });
  await expect(page.getByText('Drop to upload')).toBeHidden();
}

export const pngFile = (name: string): MadeFile => {
  const bytes = [...paintPng({ width: 32, height: 32, hue: 60 })];
  return { name, type: 'image/png', bytes };
};
