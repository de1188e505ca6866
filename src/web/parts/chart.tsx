import { type History, pathOf, peakOf } from '../live/history.ts';
import { niceCeiling } from '../picture/scale.ts';
import { mbit } from '../text/format.ts';
import { useWidth } from './use-size.ts';

const height = 120;

/** Two minutes of both halves: what the real servers send, and what leaves the director. */
export function Chart({ history }: { history: History }) {
  const [ref, width] = useWidth<HTMLDivElement>();
  const most = niceCeiling(Math.max(1, peakOf(history.replies), peakOf(history.director)));
  const replies = pathOf(history.replies, most, width, height);
  return (
    <section aria-labelledby="chart">
      <h2 id="chart">The last two minutes</h2>
      <div class="chart" ref={ref}>
        {width > 0 && (
          <svg viewBox={`0 -8 ${width} ${height + 30}`} width={width} height={height + 30} aria-hidden="true">
            <path class="grid" d={`M0 0H${width}M0 ${height / 2}H${width}M0 ${height}H${width}`} />
            <path class="line replies" d={replies} />
            <path class="line director" d={pathOf(history.director, most, width, height)} />
            <text x={0} y={14}>{`${mbit(most)} Mbit/s`}</text>
            <text x={0} y={height + 18}>
              2 min ago
            </text>
            <text x={width} y={height + 18} text-anchor="end">
              now
            </text>
          </svg>
        )}
      </div>
      <p class="key soft">
        <span class="replies">replies of the real servers</span>
        <span class="director">what leaves the director</span>
      </p>
    </section>
  );
}
