/** Draws that are the same for the same seed. */
export interface Random {
  /** At least 0, less than 1. */
  uniform(): number;
  exponential(mean: number): number;
  normal(): number;
  /** At least 1. */
  geometric(mean: number): number;
}

/** sfc32 of Chris Doty-Humphrey (PractRand), 128 bits of state, seeded by one number. */
export function randomOf(seed: number): Random {
  let [a, b, c, d] = [seed | 0, 0x9e3779b9 | 0, 0x243f6a88 | 0, 1];
  const uniform = (): number => {
    const sum = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  };
  for (let i = 0; i < 20; i++) uniform();
  // 1 - uniform() is never 0.
  return {
    uniform,
    exponential: (mean) => -mean * Math.log(1 - uniform()),
    normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
    geometric: (mean) => (mean <= 1 ? 1 : 1 + Math.floor(Math.log(1 - uniform()) / Math.log(1 - 1 / mean))),
  };
}

/** Numbers below `weights.length`, each as often as its weight says; a draw takes a binary search. */
export function weightedDraw(weights: readonly number[]): (random: Random) => number {
  const sums = new Float64Array(weights.length);
  let total = 0;
  for (const [i, weight] of weights.entries()) {
    total += weight;
    sums[i] = total;
  }
  return (random) => {
    const wanted = random.uniform() * total;
    let [low, high] = [0, sums.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sums[middle] ?? 0) > wanted) high = middle;
      else low = middle + 1;
    }
    return low;
  };
}
