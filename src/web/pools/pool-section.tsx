import { useContext, useState } from 'preact/hooks';
import { MayChange } from '../access/may-change.ts';
import { EditDialog } from '../edit/edit-dialog.tsx';
import { NewPool } from '../edit/new-pool.tsx';
import { type History, peakOf } from '../live/history.ts';
import type { PoolDetail, Status } from '../live/status.ts';
import { Live } from '../parts/live.ts';
import { niceCeiling } from '../picture/scale.ts';
import { some } from '../text/format.ts';
import { Capacity } from './capacity.tsx';
import { Leaving } from './leaving.tsx';
import { Ports } from './ports.tsx';
import { ServerTable } from './server-table.tsx';

interface PoolSectionProps {
  name: string;
  detail: PoolDetail;
  status: Status;
  history: History;
}

/** One pool: its VIP, its ports and its real servers. */
export function PoolSection({ name, detail, status, history }: PoolSectionProps) {
  const [editing, setEditing] = useState(false);
  const live = useContext(Live);
  const mayChange = useContext(MayChange);
  const servers = Object.keys(detail.realServers);
  const serving = status.pools[name]?.serving ?? 0;
  const most = niceCeiling(Math.max(1, ...servers.map((server) => peakOf(history.hosts.get(server) ?? []))));
  return (
    <section aria-labelledby="pool">
      <div class="heading">
        <h2 id="pool">Pool {name}</h2>
        <p class="soft">
          VIP {detail.vip.address}, {detail.vip.reason}; {serving} of {some(servers.length, 'real server')} in service
        </p>
        {mayChange && (
          <button type="button" disabled={!live} onClick={() => setEditing(true)}>
            Edit pool {name}
          </button>
        )}
        <NewPool />
      </div>
      <Capacity capacity={detail.capacity} />
      <Ports detail={detail} />
      <ServerTable pool={name} detail={detail} status={status} history={history} most={most} />
      <Leaving leaving={detail.leaving} />
      {editing && <EditDialog pool={name} close={() => setEditing(false)} />}
    </section>
  );
}
