// What a page downloads for each package, minified and gzipped, beside React.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'vite';

const root = fileURLToPath(new URL('..', import.meta.url));
const realtime = 'packages/realtime/dist/index.js';
const react = ['react', 'react-dom', 'react/jsx-runtime'];

const budgets = [
  { name: 'realtime core', limit: 5, size: () => bundle('{ getClient }', realtime) },
  { name: 'useMediaUpload alone', limit: 7, size: () => bundle('{ useMediaUpload }', realtime) },
  { name: 'realtime, everything', limit: 11, size: () => bundle('*', realtime) },
  { name: 'ui, everything', limit: 25, size: () => bundle('*', 'packages/ui/dist/index.js') },
  { name: 'studio, all scripts', limit: 120, size: () => weighScripts('apps/studio/dist/assets') },
];

async function bundle(names, module) {
  const entry = { id: 'virtual:entry', code: `export ${names} from '${root}${module}'` };
  const { output } = await build({
    root,
    plugins: [
      {
        name: 'entry',
        resolveId: (id) => (id === entry.id ? id : undefined),
        load: (id) => (id === entry.id ? entry.code : undefined),
      },
    ],
    configFile: false,
    logLevel: 'silent',
    build: {
      write: false,
      target: 'es2022',
      minify: true,
      rolldownOptions: { input: entry.id, external: react, preserveEntrySignatures: 'strict' },
    },
  });
  return weigh(output.map((chunk) => chunk.code ?? '').join(''));
}

function weighScripts(folder) {
  const scripts = readdirSync(`${root}${folder}`).filter((name) => name.endsWith('.js'));
  return weigh(Buffer.concat(scripts.map((name) => readFileSync(`${root}${folder}/${name}`))));
}

function weigh(code) {
  return gzipSync(code, { level: 9 }).length / 1000;
}

let tooBig = false;
for (const { name, limit, size } of budgets) {
  const kilobytes = await size();
  const fits = kilobytes <= limit;
  tooBig ||= !fits;
  console.log(
    `${fits ? 'ok  ' : 'OVER'} ${name.padEnd(26)} ${kilobytes.toFixed(2).padStart(7)} kB of ${limit} kB`,
  );
}
process.exitCode = tooBig ? 1 : 0;
