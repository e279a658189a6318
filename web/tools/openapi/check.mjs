// The client's types against the service's own OpenAPI document, after the comparison has seen through a false one.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import openapiTypescript, { astToString } from 'openapi-typescript';

const here = dirname(fileURLToPath(import.meta.url));
const web = join(here, '..', '..');
const program = process.env.MEDIA_PIPELINE ?? join(web, '..', '.venv', 'bin', 'media-pipeline');

const truth = JSON.parse(run(program, ['openapi']).stdout);
const lies = {
  'JobView.kind': ({ JobView }) => delete JobView.properties.kind,
  'MediaItem.size': ({ MediaItem }) => Object.assign(MediaItem.properties.size, { type: 'string' }),
  'MediaUsage.colour': ({ MediaUsage }) =>
    Object.assign(MediaUsage.properties, { colour: { type: 'string' } }),
  'ProcessMedia.operation': ({ TrimBody }) => delete TrimBody.properties.end,
  'Stranger is not in the contract': (schemas) =>
    Object.assign(schemas, { Stranger: { type: 'object', properties: {} } }),
};
const lie = structuredClone(truth);
for (const tell of Object.values(lies)) tell(lie.components.schemas);
const noticed = await compare(lie);
const missed = Object.keys(lies).filter((name) => !noticed.includes(`"${name}"`));
if (missed.length > 0) fail(`The comparison did not notice: ${missed.join(', ')}.\n${noticed}`);
const said = await compare(truth);
if (said) fail(`contract.ts and the service's OpenAPI document disagree:\n${said}`);

console.log(`contract.ts agrees with the service (${Object.keys(lies).length} lies were noticed).`);

/** What the compiler says of the contract beside this document; nothing where they agree. */
async function compare(document) {
  const types = await openapiTypescript(document, { defaultNonNullable: false });
  writeFileSync(join(here, 'schema.d.ts'), astToString(types));
  const compiler = join(web, 'node_modules', '.bin', 'tsc');
  const told = run(compiler, ['-p', here, '--noErrorTruncation', '--pretty', 'false']);
  return told.status === 0 ? '' : told.stdout;
}

function run(command, args) {
  const told = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 64 * 1024 ** 2 });
  if (told.error) fail(`${command} could not be run: ${told.error.message}`);
  return told;
}

function fail(sentence) {
  console.error(sentence);
  process.exit(1);
}
