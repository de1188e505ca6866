import type { PoolDetail, PortDetail } from '../live/status.ts';
import { Figure } from '../parts/figure.tsx';
import { count, mbit } from '../text/format.ts';

/** The ports of a pool: who answers there, and what comes in. */
export function Ports({ detail }: { detail: PoolDetail }) {
  return (
    <ul class="ports" aria-label="Ports">
      {Object.entries(detail.ports).map(([key, port]) => (
        <li key={key}>
          <strong>{key}</strong> <span class="soft">{whoAnswers(port)}</span>
          {'traffic' in port && (
            <span class="rate">
              <Figure value={mbit(port.traffic?.requestsMbit)} unit="Mbit/s of requests" />
              <span class="soft">, </span>
              <Figure value={count(port.traffic?.connectionsPerSecond)} unit="new a second" />
            </span>
          )}
          <span class="reason soft">{port.reason}</span>
        </li>
      ))}
    </ul>
  );
}

function whoAnswers({ desired }: PortDetail): string {
  if (desired?.policy === 'director') return 'the director itself';
  return `${desired?.policy === 'url' ? 'by URL: ' : ''}real servers, ${desired?.scheduler ?? ''}`;
}
