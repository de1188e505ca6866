import { type History, peakOf } from '../live/history.ts';
import { useWidth } from '../parts/use-size.ts';
import { mbit } from '../text/format.ts';
import { ClientsBox } from './clients-box.tsx';
import { DirectorBox } from './director-box.tsx';
import { Flows } from './flows.tsx';
import { Labels } from './labels.tsx';
import { layoutOf } from './layout.ts';
import type { Model } from './model.ts';
import { niceCeiling } from './scale.ts';
import { ServerRow } from './server-row.tsx';
import { ServerTile } from './server-tile.tsx';

/** The way of requests and replies: clients, director, real servers, clients. */
export function Picture({ model, history }: { model: Model; history: History }) {
  const [ref, width] = useWidth<HTMLElement>();
  const full = niceCeiling(Math.max(1, peakOf(history.replies)));
  const { traffic } = model;
  const flows = {
    requests: traffic.requests?.requestsMbit ?? null,
    servers: model.servers.map(({ name, card }) => ({ name, rx: card?.rxMbit ?? null, tx: card?.txMbit ?? null })),
  };
  const layout = layoutOf(flows, width, full);
  const box = `0 0 ${layout.width} ${layout.height}`;
  const tall = layout.shape === 'tall';
  const nodes = new Map(model.servers.map((node) => [node.name, node]));
  return (
    <figure class="picture" ref={ref}>
      {width > 0 && (
        <>
          <Flows layout={layout} full={full} />
          <svg
            class="hosts"
            viewBox={box}
            width={layout.width}
            height={layout.height}
            role="img"
            aria-label="The way of the traffic: requests from the clients through the director to the real servers, replies from the real servers straight to the clients. The tables below have the same figures."
          >
            <ClientsBox
              box={layout.clients}
              perSecond={traffic.requests?.connectionsPerSecond ?? null}
              replies={traffic.repliesMbit}
            />
            {layout.group && (
              <rect
                class="group"
                x={layout.group.x}
                y={layout.group.y}
                width={layout.group.width}
                height={layout.group.height}
                rx={3}
              />
            )}
            <DirectorBox box={layout.director} node={model.director} share={traffic.directorSharePercent} />
            {layout.places.map((place) => {
              const node = nodes.get(place.name);
              if (!node) return null;
              return layout.many ? (
                <ServerTile key={place.name} place={place} node={node} />
              ) : (
                <ServerRow key={place.name} place={place} node={node} tall={tall} />
              );
            })}
            <Labels layout={layout} model={model} />
          </svg>
        </>
      )}
      <figcaption>Width and speed follow the rate. The widest return path is {mbit(full)} Mbit/s.</figcaption>
    </figure>
  );
}
