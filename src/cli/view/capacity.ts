import { type CapacityPlan, planFor } from '../../core/capacity/plan.ts';
import type { Capacity, Status } from './answers.ts';
import { table } from './table.ts';
import { bold, type Line, type Span, styled } from './text.ts';
import { counted, mbitText } from './units.ts';

/** All pools, and how full they are. */
export function capacityTable(pools: Status['pools']): Line[] {
  const rows = Object.entries(pools);
  if (rows.length === 0) return ['no pool yet'];
  return table(
    ['POOL', '>OUT Mbit/s', '>OF Mbit/s', '>FULL', '>PEAK', '>WITHOUT LARGEST', 'FULL FIRST', 'FULL IN'],
    rows.map(([name, { capacity }]): Span[] =>
      capacity
        ? [
            name,
            mbitText(capacity.carriedMbit),
            capacity.capacityMbit === null ? '?' : mbitText(capacity.capacityMbit),
            shareSpan(capacity.fullPercent),
            shareSpan(capacity.peakPercent),
            shareSpan(capacity.withoutLargestPeakPercent),
            capacity.first ?? '-',
            capacity.fullInDays === null ? '-' : counted(capacity.fullInDays, 'day'),
          ]
        : [name, '?', '?', '?', '?', '?', '?', '?'],
    ),
  );
}

/** One pool: everything in words. */
export const capacityLines = (name: string, { words }: Capacity): Line[] => [
  bold(name),
  ...words.split('; ').map((part): Line => `  ${part}`),
];

const shareSpan = (percent: number | null): Span => {
  const text = percent === null ? '?' : `${Math.round(percent)} %`;
  return percent === null || percent < 80 ? text : styled(percent < 100 ? 'yellow' : 'red', text);
};

/** What a load takes, and of whom it is asked. */
export interface Wanted {
  peakMbit: number;
  /** Undefined: as most of the pool's cards. */
  cardMbit: number | undefined;
  pool: { name: string; capacity: Capacity; balance: string } | undefined;
  /** Of all traffic, the requests to a Mbit/s of replies; null where none goes through. */
  requestShare: number | null;
}

/** Undefined where the speed of no card is known. */
export function planOf({ peakMbit, cardMbit, pool }: Wanted): CapacityPlan | undefined {
  const all = Object.values(pool?.capacity.cards ?? {});
  const cards = all.filter((mbit) => mbit !== null);
  const most = cardMbit ?? commonest(cards);
  if (most === undefined) return undefined;
  return planFor(peakMbit, most, pool && cards.length === all.length ? cards : undefined);
}

function commonest(cards: readonly number[]): number | undefined {
  const count = (mbit: number) => cards.filter((one) => one === mbit).length;
  return [...cards].filter((mbit) => mbit > 0).sort((a, b) => count(b) - count(a) || b - a)[0];
}

export function planLines(plan: CapacityPlan, { pool, requestShare }: Wanted): Line[] {
  const { peakMbit, cardMbit, servers, serversWithSpare, proxy, have } = plan;
  const card = speedText(cardMbit);
  const lines: Line[] = [
    bold(`${speedText(peakMbit)} of replies at the peak, no card filled to more than ${plan.fillPercent} %`),
    `  with this director   ${counted(servers, 'real server')} with a card of ${card}; ${serversWithSpare}, so that one may fail`,
  ];
  if (requestShare !== null)
    lines.push(
      `                       its own card carries the requests alone: about ${speedText(peakMbit * requestShare)}, as clients ask now`,
    );
  const usual = proxy.usualMbit === null ? '' : `, such as ${speedText(proxy.usualMbit)}`;
  lines.push(
    `  behind a proxy       ${servers === 1 ? 'that real server' : `those ${servers} real servers`}, and every reply leaves by the proxy's card too:`,
    `                       one of at least ${speedText(proxy.leastMbit)}${usual}, or ${counted(proxy.proxies, 'proxy').replace('proxys', 'proxies')} with a card of ${card} each`,
  );
  if (pool && have) {
    const { capacityMbit } = pool.capacity;
    const held =
      pool.balance === 'weights' && capacityMbit && capacityMbit < 0.95 * have.mbit ? capacityMbit : undefined;
    lines.push(
      `  ${pool.name.padEnd(20)} has ${counted(have.servers, 'real server')} in service with ${speedText(have.mbit)} together: ${held ? 'evenly filled, ' : ''}${missingText(have)}`,
    );
    if (held)
      lines.push(
        `                       with the present weights the first card is full at ${speedText(held)}: ${held * (plan.fillPercent / 100) < peakMbit ? 'too little' : 'enough while none fails'};`,
        '                       evenly with weights in the ratio of the cards\' speeds, or "balance": "headroom"',
      );
    else if (pool.balance === 'weights' && new Set([...Object.values(pool.capacity.cards), cardMbit]).size > 1)
      lines.push(
        '                       its cards differ: this holds with weights in the ratio of their speeds, or "balance": "headroom"',
      );
  } else if (pool)
    lines.push(
      `  ${pool.name.padEnd(20)} the speed of some of its cards is not known: how many are missing cannot be said`,
    );
  return lines;
}

function missingText({ missing, missingWithSpare }: NonNullable<CapacityPlan['have']>): string {
  if (missingWithSpare === 0) return 'enough, also when one fails';
  const more = `${missingWithSpare} more, so that one may fail`;
  return missing === 0 ? `enough while none fails; ${more}` : `${missing} more; ${more}`;
}

/** "250 Mbit/s", "2.5 Gbit/s". */
const speedText = (mbit: number): string =>
  mbit >= 1000
    ? `${Math.round(mbit / 10) / 100} Gbit/s`
    : `${mbit >= 10 ? Math.ceil(mbit) : Math.round(mbit * 100) / 100} Mbit/s`;
