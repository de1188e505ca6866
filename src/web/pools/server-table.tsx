import { useState } from 'preact/hooks';
import type { History } from '../live/history.ts';
import type { PoolDetail, Status } from '../live/status.ts';
import { ChangeDialog } from './change-dialog.tsx';
import type { Change } from './change-words.ts';
import { ServerLine } from './server-line.tsx';

interface ServerTableProps {
  pool: string;
  detail: PoolDetail;
  status: Status;
  history: History;
  /** Full height of every sparkline, Mbit/s: one scale for all. */
  most: number;
}

const noFigures: readonly null[] = [];
const byName = new Intl.Collator('en', { numeric: true }).compare;

/** The real servers of a pool, and what can be done with each. */
export function ServerTable({ pool, detail, status, history, most }: ServerTableProps) {
  const [change, setChange] = useState<Change>();
  const unwell = new Map(
    status.unwell.flatMap((each) => (each.pool === pool && each.realServer ? [[each.realServer, each.reason]] : [])),
  );
  const names = Object.keys(detail.realServers).sort(byName);
  if (names.length === 0) return <p class="soft">No real servers yet. Edit the pool to add some.</p>;
  return (
    <>
      {/* biome-ignore lint/a11y/noRedundantRoles: on a phone its rows are laid out as blocks, which takes the role away */}
      <table class="servers" role="table" aria-label={`Real servers of pool ${pool}`}>
        <thead>
          <tr>
            <th scope="col">Real server</th>
            <th scope="col">State</th>
            <th scope="col" class="number">
              Weight
            </th>
            <th scope="col" class="number">
              Connections
            </th>
            <th scope="col">Sends, last two minutes</th>
            <th scope="col" class="number">
              Card
            </th>
            <th scope="col">
              <span class="unseen">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {names.map((name) => {
            const server = detail.realServers[name];
            return (
              server && (
                <ServerLine
                  key={name}
                  name={name}
                  server={server}
                  unwell={unwell.get(name)}
                  line={history.hosts.get(name) ?? noFigures}
                  most={most}
                  change={setChange}
                />
              )
            );
          })}
        </tbody>
      </table>
      {change && <ChangeDialog pool={pool} change={change} detail={detail} close={() => setChange(undefined)} />}
    </>
  );
}
