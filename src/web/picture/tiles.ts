import type { Place } from './layout.ts';

const gap = 6;
const sizes = [
  { width: 116, height: 40 },
  { width: 92, height: 36 },
  { width: 76, height: 32 },
  { width: 58, height: 28 },
  { width: 48, height: 26 },
] as const;
/** Taller than this the tiles become smaller, as long as there are smaller ones. */
const tallest = 560;

/** Places many names in columns of equal tiles, reading from left to right; from (0, 0). */
export function tilesIn(names: readonly string[], width: number): { tiles: Place[]; height: number } {
  const heightOf = (size: (typeof sizes)[number]) => {
    const columns = Math.max(1, Math.floor((width + gap) / (size.width + gap)));
    return { columns, height: Math.ceil(names.length / columns) * (size.height + gap) - gap };
  };
  const size = sizes.find((each) => heightOf(each).height <= tallest) ?? sizes[sizes.length - 1];
  if (!size) return { tiles: [], height: 0 };
  const { columns, height } = heightOf(size);
  // What is left over makes the tiles wider.
  const tileWidth = (width - (columns - 1) * gap) / columns;
  const tiles = names.map((name, i) => ({
    name,
    x: (i % columns) * (tileWidth + gap),
    y: Math.floor(i / columns) * (size.height + gap),
    width: tileWidth,
    height: size.height,
  }));
  return { tiles, height: Math.max(0, height) };
}
