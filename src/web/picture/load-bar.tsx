import { useContext } from 'preact/hooks';
import { Live } from '../parts/live.ts';
import type { Box } from './layout.ts';

/** How full a card is, with a mark where it counts as full. */
export function LoadBar({ box, percent, alarm }: { box: Box; percent: number | null; alarm: boolean }) {
  const live = useContext(Live);
  const share = live && percent !== null ? Math.min(1, percent / 100) : 0;
  return (
    <g class={`load ${alarm && live ? 'alarm' : ''}`}>
      <rect class="track" x={box.x} y={box.y} width={box.width} height={box.height} rx={box.height / 2} />
      <rect class="fill" x={box.x} y={box.y} width={box.width * share} height={box.height} rx={box.height / 2} />
    </g>
  );
}
