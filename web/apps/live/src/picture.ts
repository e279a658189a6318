/** Pictures that are really painted, a band at a time, so that what is told of their progress is true. */
export const BANDS = 8;
const [WIDTH, HEIGHT] = [480, 320];

export interface Painting {
  width: number;
  height: number;
  /** Paint one more band; the answer is how many there are. */
  paint(): number;
  /** What is painted so far, as a file. */
  save(): Promise<Blob>;
}

/** Begin a landscape whose colours come from `prompt` and `seed`. */
export function beginPainting(prompt: string, seed: number): Painting {
  const canvas = Object.assign(document.createElement('canvas'), { width: WIDTH, height: HEIGHT });
  const brush = canvas.getContext('2d');
  const chance = createChance(prompt, seed);
  const hue = chance() * 360;
  let bands = 0;

  function paint() {
    if (!brush || bands === BANDS) return bands;
    bands += 1;
    const depth = bands / BANDS;
    brush.fillStyle = `hsl(${hue + depth * 70} ${30 + depth * 25}% ${88 - depth * 62}%)`;
    brush.beginPath();
    brush.moveTo(0, HEIGHT);
    for (let x = 0; x <= WIDTH; x += WIDTH / 12)
      brush.lineTo(x, HEIGHT * (depth - 0.15 + 0.12 * chance() * (bands === 1 ? 0 : 1)));
    brush.lineTo(WIDTH, HEIGHT);
    brush.fill();
    return bands;
  }

  return { width: WIDTH, height: HEIGHT, paint, save: () => toBlob(canvas) };
}

function toBlob(canvas: HTMLCanvasElement): Promise<Blob> {
  return new Promise((resolve, reject) =>
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error('No picture.')))),
  );
}

/** Numbers in [0, 1) that are the same for the same words and seed (mulberry32). */
function createChance(words: string, seed: number): () => number {
  let state = [...words].reduce((sum, it) => Math.imul(sum, 31) + (it.codePointAt(0) ?? 0), seed);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
