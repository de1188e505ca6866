import { type Line, styled } from './text.ts';
import { counted, durationText } from './units.ts';

/** How far a drain is. */
export interface Progress {
  /** Such as "web/rs1". */
  name: string;
  /** Most connections that it had since it began. */
  most: number;
  remaining: number;
  /** Until the connections that are left are cut. */
  leftMs: number;
}

const cells = 24;

/** A bar that is full when no connection is left. */
export function progressBar({ most, remaining }: Pick<Progress, 'most' | 'remaining'>): string {
  const share = most <= 0 ? 1 : 1 - Math.min(most, Math.max(0, remaining)) / most;
  const full = remaining > 0 ? Math.min(cells - 1, Math.floor(share * cells)) : cells;
  return `[${'#'.repeat(full)}${'-'.repeat(cells - full)}]`;
}

/** One line of progress; with a bar where it is redrawn. */
export function progressLine(progress: Progress, bar: boolean): Line {
  const { name, remaining, leftMs } = progress;
  const left = remaining === 0 ? 'none left, making sure' : `${counted(remaining, 'connection')} left`;
  const deadline = remaining === 0 ? '' : `, ${durationText(Math.max(0, leftMs))} to the deadline`;
  return [`${name}  `, ...(bar ? [styled('cyan', progressBar(progress)), '  '] : []), `${left}${deadline}`];
}
