// How even cards are, by what left them each second.

/** Coefficient of variation of the cards' loads over windows, its mean: 0 when all are equally full in each; undefined: not one window. */
export function unevenness(
  rows: readonly (readonly number[])[],
  speeds: readonly number[],
  windowSeconds = 10,
): number | undefined {
  const all: number[] = [];
  for (let from = 0; from + windowSeconds <= rows.length; from += windowSeconds)
    all.push(variation(loadsOf(rows.slice(from, from + windowSeconds), speeds)));
  return all.length === 0 ? undefined : all.reduce((sum, of) => sum + of, 0) / all.length;
}

/** Seconds until the loads of the following window lie within `limit` of each other for the first time; undefined: never. */
export function secondsToEven(
  rows: readonly (readonly number[])[],
  speeds: readonly number[],
  { limit = 0.1, windowSeconds = 10 } = {},
): number | undefined {
  for (let from = 0; from + windowSeconds <= rows.length; from++)
    if (variation(loadsOf(rows.slice(from, from + windowSeconds), speeds)) <= limit) return from;
  return undefined;
}

function loadsOf(rows: readonly (readonly number[])[], speeds: readonly number[]): number[] {
  return speeds.map((speed, i) => rows.reduce((sum, row) => sum + (row[i] ?? 0), 0) / rows.length / speed);
}

function variation(loads: readonly number[]): number {
  const mean = loads.reduce((sum, load) => sum + load, 0) / loads.length;
  const squares = loads.reduce((sum, load) => sum + (load - mean) ** 2, 0) / loads.length;
  return mean === 0 ? 0 : Math.sqrt(squares) / mean;
}
