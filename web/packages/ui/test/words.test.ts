// @vitest-environment node
import { readdirSync, readFileSync } from 'node:fs';
import { parseAst } from 'vite';
import { expect, test } from 'vitest';

interface Node {
  type: string;
  [key: string]: unknown;
}

const SOURCES = new URL('../src/', import.meta.url);
/** Words of people, where they belong; drawings; and what nobody reads. */
const EXCEPT = ['messages.ts', 'icons.tsx'];
const UNREAD = /^(Arrow\w+|Page\w+|Enter|Escape|Delete|Home|End|Files|Thumbs\.db)$/;

/** What a person could read of a file's strings, written in the code itself. */
function wordsIn(code: string): string[] {
  const found: string[] = [];
  visit(parseAst(code, { lang: 'tsx' }) as never, found);
  return found;
}

function visit(node: Node, found: string[]) {
  if (isUnread(node)) return;
  const said = textOf(node);
  if (said !== undefined) found.push(said);
  for (const part of Object.values(node).flat())
    if (part && typeof part === 'object' && 'type' in part) visit(part as Node, found);
}

function isUnread({ type, name }: Node): boolean {
  const attribute = type === 'JSXAttribute' && (name as { name: string }).name === 'className';
  return attribute || type === 'ImportDeclaration' || type.startsWith('TS');
}

function textOf({ type, value }: Node): string | undefined {
  if (type === 'JSXText') return /\p{L}/u.test(String(value)) ? String(value).trim() : undefined;
  const text = type === 'TemplateElement' ? (value as { cooked: string }).cooked : value;
  if (!/Literal|TemplateElement/.test(type) || typeof text !== 'string') return undefined;
  const readable = /^\p{Lu}\p{Ll}|\p{L} |[ %]\p{L}|%/u.test(text) && !/^[([.]|:/.test(text);
  return readable && !UNREAD.test(text) ? text : undefined;
}

test.each(readdirSync(SOURCES).filter((name) => /\.tsx?$/.test(name) && !EXCEPT.includes(name)))(
  '%s says nothing that the messages could not change',
  (name) => {
    expect(wordsIn(readFileSync(new URL(name, SOURCES), 'utf8'))).toEqual([]);
  },
);

test('a word in the code would be found', () => {
  const code =
    'const a = <p title="Close it" className="pu x">Hi {b ? "Yes" : c(`no more`)} %</p>;';
  expect(wordsIn(code)).toEqual(['Close it', 'Hi', 'Yes', 'no more']);
});
