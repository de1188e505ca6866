import type { Stand } from './model.ts';

/** One shape for each state, so that none is told by colour alone. */
const shapes: Record<Stand, string> = {
  serving: 'M-4.5 0A4.5 4.5 0 1 0 4.5 0A4.5 4.5 0 1 0-4.5 0Z',
  unwell: 'M0-5.5L5.5 4.5H-5.5Z',
  out: 'M-4.5-4.5L4.5 4.5M4.5-4.5L-4.5 4.5',
  draining: 'M-4-3.5H4L0 4.5Z',
  drained: 'M-4.5 0H4.5',
  maintenance: 'M-4-4V4M4-4V4',
  unknown: 'M-1 0H1',
};

/** What each state is called. */
export const standWords: Record<Stand, string> = {
  serving: 'in service',
  unwell: 'in service, not well',
  out: 'out of service',
  draining: 'draining',
  drained: 'drained',
  maintenance: 'maintenance',
  unknown: 'not known',
};

/** The shape of a state, around (x, y) of a picture. */
export function StandShape({ stand, x, y }: { stand: Stand; x: number; y: number }) {
  return <path class={`stand ${stand}`} d={shapes[stand]} transform={`translate(${x} ${y})`} />;
}

/** The shape of a state, beside text. */
export function StandIcon({ stand }: { stand: Stand }) {
  return (
    <svg class="icon" viewBox="-7 -7 14 14" width="14" height="14" aria-hidden="true">
      <StandShape stand={stand} x={0} y={0} />
    </svg>
  );
}
