import { useEffect, useState } from 'preact/hooks';
import type { Whoami } from './access/access.ts';
import { MayChange } from './access/may-change.ts';
import { Doctor } from './doctor/doctor.tsx';
import { EventLog } from './events/event-log.tsx';
import { addressOfPool, useChosenPool } from './live/use-chosen-pool.ts';
import { usePools } from './live/use-pools.ts';
import { useStatus } from './live/use-status.ts';
import { alarmsOf } from './parts/alarm-list.ts';
import { Alarms } from './parts/alarms.tsx';
import { Chart } from './parts/chart.tsx';
import { Figures } from './parts/figures.tsx';
import { Gone } from './parts/gone.tsx';
import { Header } from './parts/header.tsx';
import { Live } from './parts/live.ts';
import { usePageTitle } from './parts/use-page-title.ts';
import { modelOf } from './picture/model.ts';
import { Picture } from './picture/picture.tsx';
import { NoPools } from './pools/no-pools.tsx';
import { PoolSection } from './pools/pool-section.tsx';
import { some } from './text/format.ts';

interface DashboardProps {
  /** Undefined where that is not known. */
  who: Whoami | undefined;
  /** Somebody is signed in, now. */
  signedIn: boolean;
}

/** The site, live. */
export function Dashboard({ who, signedIn }: DashboardProps) {
  const [key, setKey] = useState('');
  const document = usePools(key);
  const names = Object.keys(document?.pools ?? {});
  const pool = useChosenPool(names);
  const { status, detail, history, silentMs, connection } = useStatus(pool);
  const newest = status && silentMs === null ? `${connection} ${status.storedRevision}` : key;
  useEffect(() => setKey(newest), [newest]);
  const live = silentMs === null && signedIn;
  const model = status && modelOf(status, document?.pools ?? {});
  const revisions = status && { stored: status.storedRevision, reconciled: status.reconciledRevision };
  const alarms = status && live ? alarmsOf(status) : [];
  usePageTitle(
    !signedIn
      ? 'sign in'
      : live || !status
        ? alarms.length > 0
          ? `${some(alarms.length, 'alarm')}`
          : ''
        : 'not heard of',
  );
  return (
    <MayChange.Provider value={who?.role !== 'viewer'}>
      <Live.Provider value={live}>
        <Header
          live={live}
          silentMs={silentMs}
          revisions={revisions}
          pools={names}
          pool={pool}
          addressOf={addressOfPool}
          who={who}
        />
        {signedIn && silentMs !== null && <Gone silentMs={silentMs} everSeen={status !== undefined} />}
        <main class={live ? '' : 'gone'}>
          <Alarms alarms={alarms} />
          {model && (
            <section aria-labelledby="cycle">
              <h2 id="cycle" class="unseen">
                The way of the traffic
              </h2>
              <Figures traffic={model.traffic} />
              <Picture model={model} history={history} />
            </section>
          )}
          {status && <Chart history={history} />}
          {status && pool !== undefined && detail && (
            <PoolSection key={pool} name={pool} detail={detail} status={status} history={history} />
          )}
          {document && names.length === 0 && <NoPools />}
          <div class="below">
            <EventLog />
            <Doctor />
          </div>
        </main>
      </Live.Provider>
    </MayChange.Provider>
  );
}
