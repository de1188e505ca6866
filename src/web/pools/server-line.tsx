import { useContext } from 'preact/hooks';
import { MayChange } from '../access/may-change.ts';
import type { Line } from '../live/history.ts';
import type { ServerDetail } from '../live/status.ts';
import { Figure } from '../parts/figure.tsx';
import { Live } from '../parts/live.ts';
import { Spark } from '../parts/spark.tsx';
import { serverStand } from '../picture/model.ts';
import { StandIcon, standWords } from '../picture/stand-shape.tsx';
import { count, mbit, percent, speed } from '../text/format.ts';
import type { Change } from './change-words.ts';
import { connectionsOf } from './connections.ts';
import { DrainProgress } from './drain-progress.tsx';

interface ServerLineProps {
  name: string;
  server: ServerDetail;
  unwell: string | undefined;
  line: Line;
  most: number;
  change(change: Change): void;
}

/** One real server of a pool. */
export function ServerLine({ name, server, unwell, line, most, change }: ServerLineProps) {
  const live = useContext(Live);
  const mayChange = useContext(MayChange);
  const { stand, words } = serverStand(server, unwell);
  const isAlarm = stand === 'out' || stand === 'unwell';
  const { state } = server.desired;
  const { card } = server.traffic;
  const warnings = server.observed.warnings;
  const first = state === 'active' ? ('drain' as const) : ('active' as const);
  return (
    <tr class={isAlarm ? 'alarm' : ''}>
      <th scope="row">
        {name}
        <span class="soft address">{server.address}</span>
      </th>
      <td class="stand">
        <span class="word">
          <StandIcon stand={stand} /> {standWords[stand]}
        </span>
        <span class={isAlarm ? 'reason' : 'reason soft'}>{words}</span>
        {server.drain && !server.drain.done && <DrainProgress drain={server.drain} />}
        {warnings.map((warning) => (
          <span key={warning} class="reason">
            {warning}
          </span>
        ))}
      </td>
      <td class="number" data-label="weight">
        {server.weight}
      </td>
      <td class="number" data-label="connections">
        <Figure value={count(connectionsOf(server))} />
      </td>
      <td class="sends">
        <Spark line={line} most={most} />
        <Figure value={mbit(card?.txMbit)} unit="Mbit/s" />
      </td>
      <td class="number" data-label="card">
        <Figure value={percent(card?.loadPercent)} />
        <span class="soft speed">{card ? `of ${speed(card.speedMbit)}` : 'no figures'}</span>
      </td>
      <td class="actions">
        {mayChange && (
          <button type="button" disabled={!live} onClick={() => change({ name, state: first })}>
            {first === 'drain' ? 'Drain' : 'Return'}
            <span class="unseen"> {name}</span>
          </button>
        )}
        {mayChange && state !== 'maintenance' && (
          <button type="button" disabled={!live} onClick={() => change({ name, state: 'maintenance' })}>
            Maintenance
            <span class="unseen"> of {name}</span>
          </button>
        )}
      </td>
    </tr>
  );
}
