import { useContext } from 'preact/hooks';
import type { TrafficView } from '../../core/traffic.ts';
import { count, mbit, nothing, percent } from '../text/format.ts';
import { bottleneckWords } from './alarm-list.ts';
import { Figure } from './figure.tsx';
import { Live } from './live.ts';

/** The site in four figures. */
export function Figures({ traffic }: { traffic: TrafficView }) {
  const live = useContext(Live);
  const bottleneck = live ? traffic.bottleneck : null;
  return (
    <dl class="figures">
      <div>
        <dt>Replies, straight to the clients</dt>
        <dd>
          <Figure value={mbit(traffic.repliesMbit)} unit="Mbit/s" />
        </dd>
      </div>
      <div>
        <dt>Requests, through the director</dt>
        <dd>
          <Figure value={mbit(traffic.requests?.requestsMbit)} unit="Mbit/s" />
          <small>
            <Figure value={count(traffic.requests?.connectionsPerSecond)} unit="new connections a second" />
          </small>
        </dd>
      </div>
      <div>
        <dt>The director's share of all bytes</dt>
        <dd>
          <Figure value={percent(traffic.directorSharePercent)} />
        </dd>
      </div>
      <div class={bottleneck?.full ? 'alarm' : ''}>
        <dt>{bottleneck && !bottleneck.full ? 'Fullest card' : 'Bottleneck'}</dt>
        <dd>
          <Figure value={bottleneck?.host ?? nothing} />
          {bottleneck && <small>{bottleneckWords(bottleneck)}</small>}
        </dd>
      </div>
    </dl>
  );
}
