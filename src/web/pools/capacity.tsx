import { useContext } from 'preact/hooks';
import type { PoolDetail } from '../live/status.ts';
import { Figure } from '../parts/figure.tsx';
import { Live } from '../parts/live.ts';
import { mbit, nothing, percent, some } from '../text/format.ts';

/** From here on there is little left. */
const littlePercent = 80;
const soonDays = 30;

/** How full a pool is, which card is full first, when that will be, and what a failure leaves. */
export function Capacity({ capacity }: { capacity: PoolDetail['capacity'] }) {
  const live = useContext(Live);
  const { carriedMbit, capacityMbit, fullPercent, first, peak, forecast, withoutLargest } = capacity;
  if (capacityMbit === null || !first || !withoutLargest) return live ? <p class="soft">{capacity.words}</p> : null;
  const { fullInDays } = forecast;
  const alarm = (is: boolean) => (live && is ? 'alarm' : '');
  return (
    <dl class="figures capacity">
      <div class={alarm((fullPercent ?? 0) >= littlePercent)}>
        <dt>How full the pool is</dt>
        <dd>
          <Figure value={percent(fullPercent)} />
          {live && (
            <small>
              {mbit(carriedMbit)} of {mbit(capacityMbit)} Mbit/s
            </small>
          )}
        </dd>
      </div>
      <div>
        <dt>Full first</dt>
        <dd>
          <Figure value={first.realServer} />
          {live && <small>its card is {percent(first.loadPercent)} full</small>}
        </dd>
      </div>
      <div class={alarm(fullInDays !== null && fullInDays <= soonDays)}>
        <dt>Full at the present growth</dt>
        <dd>
          <Figure value={fullInDays === null ? nothing : `in ${some(fullInDays, 'day')}`} />
          {live && <small>{forecast.words}</small>}
          {live && peak && (
            <small>
              peak of the last seven days: {mbit(peak.mbit)} Mbit/s, {percent(peak.percent)}
            </small>
          )}
        </dd>
      </div>
      <div class={alarm((withoutLargest.peakPercent ?? 0) >= 100)}>
        <dt>If {withoutLargest.realServer} is lost</dt>
        <dd>
          <Figure value={mbit(withoutLargest.capacityMbit)} unit="Mbit/s" />
          {live && <small>{withoutLargest.words}</small>}
        </dd>
      </div>
    </dl>
  );
}
