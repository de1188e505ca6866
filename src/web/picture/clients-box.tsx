import { useFigure } from '../parts/figure.tsx';
import { compact, mbit } from '../text/format.ts';
import type { Box } from './layout.ts';

/** Whoever asks. */
export function ClientsBox({
  box,
  perSecond,
  replies,
}: {
  box: Box;
  perSecond: number | null;
  replies: number | null;
}) {
  const figure = useFigure();
  return (
    <g class="clients">
      <rect class="box" x={box.x + 0.5} y={box.y} width={box.width - 1} height={box.height} rx={3} />
      <text class="name" x={box.x + 14} y={box.y + 24}>
        clients
      </text>
      <text class="small" x={box.x + 14} y={box.y + 42}>
        {`${figure(compact(perSecond))} conn./s`}
      </text>
      {box.height > 100 && (
        <text class="strong" x={box.x + 14} y={box.y + 92}>
          {figure(mbit(replies))}
          <tspan class="small"> Mbit/s</tspan>
        </text>
      )}
    </g>
  );
}
