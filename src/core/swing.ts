// Whether a loop swings: a deviation that comes back with the opposite sign, again and again, is the work of who corrects
// it. Reports come late and connections last long, so how strong a correction may be is not known in advance.

/** How alike deviations are to those some looks before. */
export interface Swing {
  /** Deviations at the last looks by name, the newest last. */
  past: readonly ReadonlyMap<string, number>[];
  /** By number of looks in between: sums of products, in which older ones fade. */
  products: readonly number[];
  squares: number;
}

export const noSwing: Swing = { past: [], products: [], squares: 0 };

/** Periods up to the double of it are heard. */
const lags = [2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 17, 20];
const longest = 20;
/** Looks after which a third is left of what was heard. */
const memory = 60;

export function nextSwing({ past, products, squares }: Swing, deviations: ReadonlyMap<string, number>): Swing {
  const keep = Math.exp(-1 / memory);
  return {
    past: [...past, deviations].slice(-longest - 1),
    products: lags.map((lag, i) => (products[i] ?? 0) * keep + product(deviations, past.at(-lag))),
    squares: squares * keep + product(deviations, deviations),
  };
}

/** The most opposite correlation of all, -1 to 1; 0 while there is nothing to hear. */
export const oppositeness = ({ products, squares }: Swing): number =>
  squares > 0 ? Math.min(0, ...products.map((sum) => sum / squares)) : 0;

function product(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number> | undefined): number {
  let sum = 0;
  if (b) for (const [name, value] of a) sum += value * (b.get(name) ?? 0);
  return sum;
}
