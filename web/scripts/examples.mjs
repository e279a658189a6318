// The TypeScript examples of the docs: the text of a page is the one place where an example stands.
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Every ```ts and ```tsx block of these pages, with its page, its number on it, and where it begins. */
export function findExamples(pages) {
  return globSync(pages, { cwd: root }).sort().flatMap(readPage);
}

/** Those that run on their page: what shows something, of components and hooks. */
export function findLive() {
  const found = findExamples(['docs/components/*.md', 'docs/hooks/*.md']);
  return found
    .filter(({ kind }) => kind === 'tsx')
    .map((each) => ({ ...each, name: nameOf(each) }));
}

/** `docs/hooks/useJob.md`, 2: `useJob.2`. */
function nameOf({ page, number }) {
  return `${page.slice(page.lastIndexOf('/') + 1, -'.md'.length)}.${number}`;
}

function readPage(page) {
  const text = readFileSync(join(root, page), 'utf8');
  return [...text.matchAll(/^```(tsx?)\n(.*?)^```$/gms)].map(([, kind, code], index) => {
    const line = text.slice(0, text.indexOf(code)).split('\n').length;
    return { page, kind, code, number: index + 1, line };
  });
}
