import { BANDS, beginPainting } from './picture.ts';
import type { Service } from './service.ts';
import { type Item, keep } from './shelf.ts';

const PROMPTS = [
  'a harbour at dusk',
  'hills in the morning',
  'a lake',
  'the moor',
  'far mountains',
];

/** The one model of the page, as `GET /providers` would tell of it. */
const PAINTER = {
  provider: 'page',
  model: 'painter',
  kind: 'image',
  label: 'Painter',
  nMax: 4,
  defaultSize: [480, 320],
  minSide: 64,
  maxSide: 1024,
  aspectRatios: ['3:2'],
  fps: [],
  roles: [],
  needs: [],
  imagesMax: 0,
  sizes: {},
  durations: [],
  seed: true,
  negativePrompt: false,
  previews: true,
  progress: 'bands',
  cancel: 'always',
};

/** What every example is given: names it may use, and properties. */
export async function give({ work }: Service): Promise<{ [name: string]: unknown }> {
  const token = 'token-of-the-user';
  const service = { apiPrefix: '', serviceName: 'example-api', headers: {} };
  Object.assign(globalThis, { service, token });
  const items: Item[] = [];
  for (const [seed, prompt] of PROMPTS.entries()) {
    const { paint, save, width, height } = beginPainting(prompt, seed);
    for (let band = 0; band < BANDS; band += 1) paint();
    const name = `${prompt.replaceAll(' ', '-')}.png`;
    const facts = { prompt, width, height, source: 'generated', jobId: `painted-${seed}` };
    items.push(keep(work.shelf, { blob: await save(), name, ...facts }));
  }
  return { items, models: [PAINTER], nonce: '', token };
}
