// Compile every TypeScript snippet of the docs under strict settings, each a module of its own.
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findExamples } from './examples.mjs';

const web = fileURLToPath(new URL('..', import.meta.url));
const pages = ['README.md', 'docs/**/*.md', 'examples/*/README.md', 'web/packages/*/README.md'];
const folder = join(web, 'build', 'snippets');

// What a snippet may take as given.
const GIVEN = `
declare const token: string;
declare const file: File;
declare const files: File[];
declare const headers: Record<string, string>;
declare const service: import('@project/realtime').ServiceOptions;
declare const mediaUpload: import('@project/realtime').MediaUpload;
declare const items: import('@project/ui').LibraryItem[];
declare const nonce: string;
declare function refetchMedia(): void;
declare function deleteMedia(path: string): void;
`;

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, 'given.d.ts'), GIVEN);
writeFileSync(
  join(folder, 'tsconfig.json'),
  JSON.stringify({
    extends: '../../tsconfig.base.json',
    compilerOptions: { noEmit: true, noUnusedLocals: false, types: ['vite/client'] },
    include: ['.'],
  }),
);

const snippets = findExamples(pages);
if (snippets.length === 0) throw new Error('The docs have no snippet: where have they gone?');
for (const snippet of snippets) writeFileSync(join(folder, nameOf(snippet)), writeModule(snippet));

const compiler = join(web, 'node_modules', '.bin', 'tsc');
const { status } = spawnSync(compiler, ['-p', folder], { cwd: folder, stdio: 'inherit' });
if (status !== 0) process.exit(1);
console.log(`${snippets.length} snippets of the docs compile.`);

/** Blank lines go before, so that the compiler names the page's own lines. */
function writeModule({ code, line }) {
  return `${'\n'.repeat(line - 1)}${code}export {};\n`;
}

function nameOf({ page, number, kind }) {
  return `${page.replaceAll('/', '.')}.${number}.${kind}`;
}
