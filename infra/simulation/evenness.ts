// How even cards are, by what left them in the course of time.

/** What left each card from one second to another, Mbit/s in the mean. */
export interface Row {
  from: number;
  to: number;
  mbit: readonly number[];
}

const windowSeconds = 10;
/** So much of a window may be missing: rows of a busy guest do not end where it does. */
const missingSeconds = 1;

export const bySecond = (rows: readonly (readonly number[])[]): Row[] =>
  rows.map((mbit, i) => ({ from: i, to: i + 1, mbit }));

/** Coefficient of variation of the cards' loads over windows of 10 s, its mean: 0 when all are equally full in each; undefined: a window is missing. */
export function unevenness(
  rows: readonly Row[],
  speeds: readonly number[],
  { from, seconds }: { from: number; seconds: number },
): number | undefined {
  const windows = Math.floor(seconds / windowSeconds);
  let sum = 0;
  for (let i = 0; i < windows; i++) {
    const loads = loadsOf(rows, speeds, from + i * windowSeconds);
    if (!loads) return undefined;
    sum += variation(loads);
  }
  return windows === 0 ? undefined : sum / windows;
}

/** Seconds until the loads of the following window lie within a tenth of each other for the first time; undefined: never. */
export function secondsToEven(rows: readonly Row[], speeds: readonly number[]): number | undefined {
  const end = (rows.at(-1)?.to ?? 0) + missingSeconds;
  for (let from = 0; from + windowSeconds <= end; from++) {
    const loads = loadsOf(rows, speeds, from);
    if (loads && variation(loads) <= 0.1) return from;
  }
  return undefined;
}

/** Each card's load in the window that begins then; a row counts with the part of it that lies within. */
function loadsOf(rows: readonly Row[], speeds: readonly number[], from: number): number[] | undefined {
  const parts = rows
    .map((row) => ({ ...row, seconds: Math.min(row.to, from + windowSeconds) - Math.max(row.from, from) }))
    .filter(({ seconds }) => seconds > 0);
  const covered = parts.reduce((sum, { seconds }) => sum + seconds, 0);
  if (covered < windowSeconds - missingSeconds) return undefined;
  return speeds.map(
    (speed, i) => parts.reduce((sum, { mbit, seconds }) => sum + (mbit[i] ?? 0) * seconds, 0) / covered / speed,
  );
}

function variation(loads: readonly number[]): number {
  const mean = loads.reduce((sum, load) => sum + load, 0) / loads.length;
  const squares = loads.reduce((sum, load) => sum + (load - mean) ** 2, 0) / loads.length;
  return mean === 0 ? 0 : Math.sqrt(squares) / mean;
}
