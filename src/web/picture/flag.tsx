import { useContext } from 'preact/hooks';
import { Live } from '../parts/live.ts';
import type { Box } from './layout.ts';

/** The tab on a box that names the bottleneck: in words and by its shape. */
export function Flag({ box, mark }: { box: Box; mark: 'full' | 'fullest' | null }) {
  if (!useContext(Live) || !mark) return null;
  const full = mark === 'full';
  const width = full ? 96 : 84;
  return (
    <g class={`flag ${mark}`} transform={`translate(${box.x} ${box.y - 18})`}>
      <path d={`M0 0H${width}V18H0Z`} />
      {full && <path class="sign" d="M11 4L16.5 14H5.500Z" />}
      <text x={full ? 22 : width / 2} y={13} text-anchor={full ? 'start' : 'middle'}>
        {full ? 'bottleneck' : 'fullest card'}
      </text>
    </g>
  );
}
