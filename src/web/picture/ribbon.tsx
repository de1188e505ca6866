import { useContext } from 'preact/hooks';
import { Live } from '../parts/live.ts';
import type { Ribbon as RibbonAt } from './layout.ts';
import { flowSpeed } from './scale.ts';
import { period } from './use-flow.ts';

/** Length of one grain, pixels. */
const grainLength = 14;
const headLength = 9;

/** One stretch of the way: a bed as wide as its rate, grains that run in it as fast as its rate, and a head. */
export function Ribbon({ ribbon, full }: { ribbon: RibbonAt; full: number }) {
  const { way, path, width, mbit, end } = ribbon;
  const speed = useContext(Live) ? flowSpeed(mbit, full) : 0;
  const grain = Math.max(1.5, width * 0.6);
  const half = Math.max(5, width / 2 + 1.5);
  return (
    <g class={`ribbon ${way} ${speed === 0 ? 'still' : ''} ${width < 2.5 ? 'thin' : ''}`}>
      <path class="bed" d={path} stroke-width={width} />
      <path
        class="grains"
        d={path}
        stroke-width={grain}
        stroke-dasharray={`${grainLength} ${period - grainLength}`}
        data-speed={speed}
      />
      <path
        class="head"
        d={`M${-headLength} ${-half}L0 0L${-headLength} ${half}Z`}
        transform={`translate(${end.x} ${end.y}) rotate(${end.turn})`}
      />
    </g>
  );
}
