import { crc32, deflateSync } from 'node:zlib';

/** A real PNG: a soft gradient of one hue, `done` of 1 of it painted. */
export function paintPng({ width = 320, height = 320, hue = 200, done = 1 } = {}): Buffer {
  const rows: Buffer[] = [];
  for (let y = 0; y < height; y += 1) {
    const row = Buffer.alloc(1 + width * 3, 40);
    row[0] = 0;
    if (y < height * done) paintRow(row, width, y / height, hue);
    rows.push(row);
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const body = deflateSync(Buffer.concat(rows));
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', body), chunk('IEND')]);
}

function paintRow(row: Buffer, width: number, height: number, hue: number) {
  const angle = (hue * Math.PI) / 180;
  for (let x = 0; x < width; x += 1) {
    const light = 110 + 110 * height * (0.6 + 0.4 * Math.sin((x / width) * 4 + hue));
    for (const channel of [0, 1, 2]) {
      const tint = 0.75 + 0.25 * Math.cos(angle + (channel * 2 * Math.PI) / 3);
      row[1 + x * 3 + channel] = Math.min(255, Math.round(light * tint));
    }
  }
}

function chunk(type: string, data: Buffer = Buffer.alloc(0)): Buffer {
  const named = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const out = Buffer.alloc(named.length + 8);
  out.writeUInt32BE(data.length, 0);
  out.set(named, 4);
  out.writeUInt32BE(crc32(named), named.length + 4);
  return out;
}
