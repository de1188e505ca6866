import type { Status } from '../live/status.ts';
import { percent } from '../text/format.ts';

/** Something that needs attention, in words. */
export interface Alarm {
  subject: string;
  text: string;
}

/** All that is not well, the whole site first. */
export function alarmsOf(status: Status): Alarm[] {
  const { problems, unwell, pools, traffic } = status;
  const several = Object.keys(pools).length > 1;
  const alarms = problems.map((text) => ({ subject: 'controller', text }));
  const bottleneck = traffic.bottleneck;
  if (bottleneck?.full)
    alarms.push({
      subject: bottleneck.host,
      // Without figures: it is read out anew whenever it changes.
      text: `its card is full, ${doing(bottleneck)}: ${remedy(bottleneck.host, bottleneck.direction)}`,
    });
  for (const { pool, realServer, reason } of unwell)
    alarms.push({
      subject: realServer === undefined ? pool : several ? `${realServer} in ${pool}` : realServer,
      text: reason,
    });
  return alarms;
}

type Found = NonNullable<Status['traffic']['bottleneck']>;

const doing = ({ direction }: Pick<Found, 'direction'>) => (direction === 'tx' ? 'sending' : 'receiving');

export const bottleneckWords = (found: Found): string =>
  `its card is ${percent(found.loadPercent)} full, ${doing(found)}`;

function remedy(host: string, direction: Found['direction']): string {
  if (host === 'director')
    return direction === 'rx'
      ? 'the requests alone fill it. Give the director a faster card'
      : 'give the director a faster card, or move ports with policy "director" to real servers';
  return 'give it less weight, or add a real server';
}
