import { useContext } from 'preact/hooks';
import { Live } from '../parts/live.ts';
import { mbit, nothing, percent, shortName } from '../text/format.ts';
import type { Place } from './layout.ts';
import type { Node } from './model.ts';
import { StandShape, standWords } from './stand-shape.tsx';

/** A real server of many: its name and its load as a level. */
export function ServerTile({ place, node }: { place: Place; node: Node }) {
  const live = useContext(Live);
  const { x, y, width, height } = place;
  const { card, stand, mark } = node;
  const load = live ? (card?.loadPercent ?? 0) : 0;
  const isPlain = stand === 'serving';
  const letters = Math.floor((width - 8) / 7);
  const text = live ? `${percent(card?.loadPercent)}, out ${mbit(card?.txMbit)} Mbit/s` : nothing;
  return (
    <g class={`server tile ${stand} ${mark ?? ''}`}>
      <title>{`${node.name}: ${standWords[stand]}; ${text}`}</title>
      <rect class="box" x={x} y={y} width={width} height={height} rx={2} />
      <rect class="level" x={x} y={y + height - 4} width={(width * Math.min(100, load)) / 100} height={4} />

      <text class="name" x={x + 5} y={y + 15}>
        {shortName(node.name, letters)}
      </text>
      {height >= 36 && (
        <text class="small" x={x + 5} y={y + 28}>
          {live ? mbit(card?.txMbit) : nothing}
        </text>
      )}
      {!isPlain && (
        <>
          <circle class="badge" cx={x + width - 2} cy={y + 2} r={8} />
          <StandShape stand={stand} x={x + width - 2} y={y + 2} />
        </>
      )}
      {mark && live && <path class="pin" d={`M${x + width / 2 - 6} ${y - 8}h12l-6 8Z`} />}
    </g>
  );
}
