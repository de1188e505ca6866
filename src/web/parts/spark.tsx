import { type Line, pathOf } from '../live/history.ts';

const width = 132;
const height = 26;

/** The last two minutes as a line; the figures stand beside it. */
export function Spark({ line, most }: { line: Line; most: number }) {
  return (
    <svg class="spark" viewBox={`0 -1 ${width} ${height + 2}`} width={width} height={height + 2} aria-hidden="true">
      <path class="base" d={`M0 ${height}H${width}`} />
      <path class="line" d={pathOf(line, most, width, height)} />
    </svg>
  );
}
