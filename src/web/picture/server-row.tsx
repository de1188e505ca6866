import { useFigure } from '../parts/figure.tsx';
import { mbit, percent, shortName, speed } from '../text/format.ts';
import { Flag } from './flag.tsx';
import type { Place } from './layout.ts';
import { LoadBar } from './load-bar.tsx';
import type { Node } from './model.ts';
import { StandShape, standWords } from './stand-shape.tsx';
import { slimRow } from './wide.ts';

/** A real server of few: its card, its load, and what goes in and out. */
export function ServerRow({ place, node, tall }: { place: Place; node: Node; tall: boolean }) {
  const figure = useFigure();
  const { x, y, width } = place;
  const { card, stand, mark } = node;
  const load = card?.loadPercent ?? null;
  const right = x + width - 14;
  const slim = place.height <= slimRow;
  const sub = y + place.height - (tall ? 11 : 10);
  return (
    <g class={`server ${stand} ${mark ?? ''}`}>
      <title>{`${node.name}: ${node.words || standWords[stand]}`}</title>
      <rect class="box" x={x} y={y} width={width} height={place.height} rx={3} />
      <StandShape stand={stand} x={x + 18} y={y + 16.5} />
      <text class="name" x={x + 32} y={y + 22}>
        {shortName(node.name, Math.floor((width - (slim ? 186 : 120)) / 8.6))}
      </text>
      <text class="strong" x={right} y={y + 22} text-anchor="end">
        {figure(percent(load))}
      </text>
      <LoadBar box={{ x: x + 14, y: y + 31, width: width - 28, height: 5 }} percent={load} alarm={mark === 'full'} />
      {tall && (
        <text class="small" x={x + 14} y={y + 54}>
          {`in ${figure(mbit(card?.rxMbit))} · out ${figure(mbit(card?.txMbit))} Mbit/s`}
        </text>
      )}
      {slim ? (
        <text class="small state" x={right - 58} y={y + 21} text-anchor="end">
          {standWords[stand]}
        </text>
      ) : (
        <>
          <text class="small state" x={x + 14} y={sub}>
            {standWords[stand]}
          </text>
          <text class="small" x={right} y={sub} text-anchor="end">
            {card ? speed(card.speedMbit) : 'no figures'}
          </text>
        </>
      )}
      <Flag box={place} mark={mark} />
    </g>
  );
}
