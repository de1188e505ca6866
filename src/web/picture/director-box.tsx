import { useFigure } from '../parts/figure.tsx';
import { mbit, percent, speed } from '../text/format.ts';
import { Flag } from './flag.tsx';
import type { Box } from './layout.ts';
import { LoadBar } from './load-bar.tsx';
import type { Node } from './model.ts';

/** The director: its card, and how little of the bytes it sees. */
export function DirectorBox({ box, node, share }: { box: Box; node: Node; share: number | null }) {
  const figure = useFigure();
  const { x, y, width } = box;
  const { card, mark } = node;
  const load = card?.loadPercent ?? null;
  const right = x + width - 14;
  return (
    <g class={`server serving ${mark ?? ''}`}>
      <rect class="box" x={x} y={y} width={width} height={box.height} rx={3} />
      <text class="name" x={x + 14} y={y + 24}>
        director
      </text>
      <text class="strong" x={right} y={y + 24} text-anchor="end">
        {figure(percent(load))}
      </text>
      <LoadBar box={{ x: x + 14, y: y + 34, width: width - 28, height: 5 }} percent={load} alarm={mark === 'full'} />
      <text class="small" x={x + 14} y={y + 56}>
        {`in ${figure(mbit(card?.rxMbit))} · out ${figure(mbit(card?.txMbit))}`}
      </text>
      <text class="small" x={right} y={y + 56} text-anchor="end">
        {card ? speed(card.speedMbit) : 'no figures'}
      </text>
      <text class="strong" x={x + 14} y={y + (box.height > 110 ? 92 : 84)}>
        {figure(percent(share))}
        <tspan class="small"> of all bytes</tspan>
      </text>
      <Flag box={box} mark={mark} />
    </g>
  );
}
