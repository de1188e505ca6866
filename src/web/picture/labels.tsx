import { useFigure } from '../parts/figure.tsx';
import { mbit } from '../text/format.ts';
import { type Box, type Layout, sum } from './layout.ts';
import type { Model } from './model.ts';

/** What goes along each arrow, Mbit/s. */
export function Labels({ layout, model }: { layout: Layout; model: Model }) {
  const figure = useFigure();
  const { requests, replies } = layout.words;
  const { traffic, servers } = model;
  const wide = layout.shape === 'wide';
  const anchor = wide ? 'middle' : 'start';
  const group = layout.group;
  return (
    <g class="labels">
      <text class="strong flow" x={requests.x} y={requests.y - (wide ? 12 : 2)} text-anchor={anchor}>
        {figure(mbit(traffic.requests?.requestsMbit))}
        <tspan class="small"> Mbit/s</tspan>
      </text>
      <text class="small" x={requests.x} y={requests.y + (wide ? 21 : 16)} text-anchor={anchor}>
        requests
      </text>
      <text class="large flow" x={replies.x} y={replies.y + (wide ? 0 : 2)} text-anchor={wide ? 'start' : 'end'}>
        {figure(mbit(traffic.repliesMbit))}
        <tspan class="small"> Mbit/s{wide ? ' of replies, past the director' : ''}</tspan>
      </text>
      {!wide && (
        <text class="small" x={replies.x} y={replies.y + 18} text-anchor="end">
          replies
        </text>
      )}
      {wide && group && (
        <text class="small flow" x={group.x - 16} y={layout.director.y + 45} text-anchor="end">
          {`${figure(mbit(sum(servers.map(({ card }) => card?.rxMbit ?? null))))} Mbit/s`}
        </text>
      )}
      {wide &&
        !group &&
        layout.places.map((place, i) => (
          <g key={place.name}>
            <text
              class="small flow"
              x={place.x - 16}
              y={place.y + place.height / 2 + (isBelow(place, layout.director) ? 17 : -8)}
              text-anchor="end"
            >
              {`${figure(mbit(servers[i]?.card?.rxMbit))} Mbit/s`}
            </text>
            <text
              class="flow"
              x={place.x + place.width + 9}
              y={
                place.y +
                place.height / 2 -
                6 -
                (layout.ribbons.find(({ id }) => id === `from ${place.name}`)?.width ?? 0) / 2
              }
            >
              {figure(mbit(servers[i]?.card?.txMbit))}
              <tspan class="small"> Mbit/s</tspan>
            </text>
          </g>
        ))}
    </g>
  );
}

/** The line to a server that is lower than the director comes from above: its figure stands below it. */
const isBelow = (place: Box, director: Box) => place.y + place.height / 2 > director.y + director.height / 2 + 1;
