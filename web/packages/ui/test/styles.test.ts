// @vitest-environment node
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const css = readFileSync(new URL('../src/styles.css', import.meta.url), 'utf8');
const colours = Object.fromEntries(
  [...css.matchAll(/--pu-([a-z-]+): light-dark\((#[0-9a-f]+), (#[0-9a-f]+)\)/g)].map(
    ([, name, light, dark]) => [name, [light, dark] as [string, string]],
  ),
);

test.each([
  ['ink', 'surface', 7],
  ['muted', 'surface', 4.5],
  ['muted', 'sunken', 4.5],
  ['danger', 'surface', 4.5],
  ['danger', 'danger-soft', 4.5],
  ['on-primary', 'primary', 7],
  ['accent', 'line', 3],
  ['line-strong', 'surface', 3],
])('%s on %s has contrast, light and dark', (front, back, least) => {
  for (const theme of [0, 1] as const) {
    expect(
      contrast(colours[front]?.[theme] ?? '', colours[back]?.[theme] ?? ''),
    ).toBeGreaterThanOrEqual(least);
  }
});

test('everything stands in a layer, so any rule of the page wins', () => {
  expect(css.replace(/@layer project-ui \{[\s\S]*\n\}\n$/, '')).toBe('');
});

function contrast(one: string, other: string): number {
  const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a) as [
    number,
    number,
  ];
  return (light + 0.05) / (dark + 0.05);
}

function luminance(hex: string): number {
  const short =
    hex.length === 4 ? [...hex.slice(1)].map((digit) => digit + digit) : hex.slice(1).match(/../g);
  const [red = 0, green = 0, blue = 0] = (short ?? []).map((pair) =>
    linear(Number.parseInt(pair, 16) / 255),
  );
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function linear(value: number): number {
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
}
