import type { Layout } from './layout.ts';
import { Ribbon } from './ribbon.tsx';
import { useFlow } from './use-flow.ts';

/** All arrows: a layer of its own, so that what flows paints nothing else anew. */
export function Flows({ layout, full }: { layout: Layout; full: number }) {
  const ref = useFlow<SVGSVGElement>();
  const { width, height } = layout;
  return (
    <svg class="flows" ref={ref} viewBox={`0 0 ${width} ${height}`} width={width} height={height} aria-hidden="true">
      {layout.ribbons.map((ribbon) => (
        <Ribbon key={ribbon.id} ribbon={ribbon} full={full} />
      ))}
    </svg>
  );
}
