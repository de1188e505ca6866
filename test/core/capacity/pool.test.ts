import fc from 'fast-check';
import t from 'tap';
import type { DayPeak } from '../../../src/core/capacity/peaks.ts';
import { briefOf, capacityOf, nextPeaks, pastOf } from '../../../src/core/capacity/pool.ts';
import { type CapacityCard, ownCard } from '../../../src/core/capacity/rates.ts';
import type { Standings } from '../../../src/core/standings.ts';
import { type Pool, poolsSchema } from '../../../src/schema.ts';
import { holds } from '../../property.ts';

const today = 20_000;

interface Server {
  weight?: number;
  serving?: boolean;
  /** Of the kernel, where it is not the configured one. */
  kernelWeight?: number;
  card?: CapacityCard;
  isLocal?: boolean;
}
const card = (txMbit: number | null, speedMbit: number | null = 100, usualMbit = txMbit ?? 0): CapacityCard => ({
  speedMbit,
  txMbit,
  usualMbit,
});

/** A pool "web" of these. */
function site(servers: Record<string, Server>, balance: Pool['balance'] = 'weights') {
  const names = Object.keys(servers);
  const addressOf = (name: string) => `192.0.2.${names.indexOf(name) + 10}`;
  const pools = poolsSchema.parse({
    web: {
      vip: '192.0.2.100',
      balance,
      ports: { '80/tcp': { policy: 'real-servers' } },
      realServers: Object.fromEntries(
        names.map((name) => [name, { address: addressOf(name), weight: servers[name]?.weight ?? 100 }]),
      ),
    },
  });
  const standings: Standings = new Map([
    [
      'web',
      {
        ports: new Map(),
        realServers: new Map(
          Object.entries(servers).map(([name, { serving = true, weight = 100, kernelWeight = weight }]) => [
            name,
            { weight: serving ? kernelWeight : 0, serving, well: serving, reason: '' },
          ]),
        ),
      },
    ],
  ]);
  const cards = new Map(
    Object.entries(servers).flatMap(([name, { card, isLocal }]) => (card ? [[isLocal ? ownCard : name, card]] : [])),
  );
  const localAddresses = new Set(names.filter((name) => servers[name]?.isLocal).map(addressOf));
  return { pools, standings, cards, localAddresses };
}

function capacity(servers: Record<string, Server>, balance?: Pool['balance'], days: readonly DayPeak[] = []) {
  const { pools, cards, ...facts } = site(servers, balance);
  const pasts = new Map([['web', pastOf(days, today)]]);
  return capacityOf('web', pools.web as Pool, { ...facts, capacity: { cards, pasts } });
}

const days = (count: number, peak: (day: number) => number): DayPeak[] =>
  Array.from({ length: count }, (_, i) => today - count + i).map((day) => ({ day, mbit: peak(day), minutes: 1440 }));

t.test('three equal cards: what they send of what they can, and when that will not do', async (t) => {
  const three = { rs1: { card: card(40) }, rs2: { card: card(50) }, rs3: { card: card(50) } };
  const of = capacity(
    three,
    'headroom',
    days(21, (day) => 220 + (day - today)),
  );
  t.match(of, {
    carriedMbit: 140,
    capacityMbit: 300,
    fullPercent: 46.7,
    first: { realServer: 'rs2', loadPercent: 50 },
    peak: { mbit: 219, percent: 73, on: '2024-10-03' },
    forecast: { fullInDays: 80 },
    withoutLargest: { realServer: 'rs1', capacityMbit: 200, peakPercent: 109.5, fullInDays: 0 },
    cards: { rs1: 100, rs2: 100, rs3: 100 },
    words:
      "140 of 300 Mbit/s (47 %); the last seven days' peak is 219 (73 %); rs2's card is full first; at the present growth it is full in 80 days (2024-12-23); without rs1 200 Mbit/s are left, less than that peak",
  });
  t.strictSame(briefOf(of), {
    carriedMbit: 140,
    capacityMbit: 300,
    fullPercent: 46.7,
    first: 'rs2',
    peakPercent: 73,
    fullInDays: 80,
    withoutLargestPeakPercent: 109.5,
  });
});

t.test('with balance "weights" the pool is full when the first card is', async (t) => {
  const unequal = { rs1: { card: card(20, 100) }, rs2: { card: card(20, 50) } };
  t.match(capacity(unequal), { capacityMbit: 100, first: { realServer: 'rs2', loadPercent: 40 }, fullPercent: 40 });
  t.match(capacity(unequal, 'headroom'), { capacityMbit: 150 }, 'with "headroom" when all are');
  const quiet = { rs1: { card: card(0, 100), weight: 200 }, rs2: { card: card(0, 50) } };
  t.match(capacity(quiet), { capacityMbit: 150, first: { realServer: 'rs1' } }, 'by the weights, while little is sent');
  t.match(capacity({ rs1: { card: card(60) } }, 'headroom'), {
    withoutLargest: { capacityMbit: 0, words: 'without rs1 nothing is left' },
  });
});

t.test('a weight below the others leaves room in a card that the pool does not use', async (t) => {
  const of = capacity({ rs1: { card: card(50) }, rs2: { card: card(25), weight: 50 } }, 'headroom');
  t.match(of, { capacityMbit: 150, carriedMbit: 75, fullPercent: 50, cards: { rs1: 100, rs2: 50 } });
});

t.test('a director that is a real server counts with what its card has left', async (t) => {
  const servers = { rs1: { card: card(30) }, rs2: { card: card(30) }, own: { card: card(70), isLocal: true } };
  for (const balance of ['weights', 'headroom'] as const)
    t.match(capacity(servers, balance), { carriedMbit: 90, cards: { own: 60 } });
  t.match(capacity(servers, 'headroom'), { capacityMbit: 260 });
  t.match(capacity(servers, 'weights'), { capacityMbit: 180, first: { realServer: 'own', loadPercent: 70 } });
  t.match(capacity({ ...servers, own: { card: card(10), isLocal: true } }), { carriedMbit: 70, cards: { own: 100 } });
  t.match(capacity({ own: { card: card(70), isLocal: true } }), { carriedMbit: 70, capacityMbit: 100 }, 'all alone');
  const full = { rs1: { card: card(10) }, own: { card: card(130), isLocal: true } };
  t.match(capacity(full), { capacityMbit: 0, fullPercent: null, first: { realServer: 'own' } });
  const unheard = { rs1: { card: card(10) }, own: { isLocal: true, card: card(null, 100, 5) } };
  t.match(capacity(unheard), { carriedMbit: 10 });
});

t.test('real servers that are out of service, or have no weight, count for nothing', async (t) => {
  const of = capacity({
    rs1: { card: card(30) },
    rs2: { card: card(30), serving: false },
    rs3: { card: card(9), weight: 0 },
  });
  t.match(of, { carriedMbit: 30, capacityMbit: 100 });
  t.match(capacity({ rs1: { serving: false } }), {
    capacityMbit: null,
    first: null,
    withoutLargest: null,
    fullPercent: null,
    words: 'no real server is in service: there is nothing to fill',
  });
  t.strictSame(briefOf(capacity({})).first, null);
});

t.test('what is not known is named', async (t) => {
  const unknown = { rs1: { card: card(30) }, ...Object.fromEntries(['a', 'b', 'c', 'd'].map((name) => [name, {}])) };
  t.match(capacity(unknown), {
    carriedMbit: 30,
    capacityMbit: null,
    fullPercent: null,
    cards: { rs1: 100, a: null },
    forecast: { state: 'not-known' },
    words:
      /^how full it is cannot be said: the speed of the card of a, b, c and 1 more is not known; set speedMbit in its agent's config/,
  });
  t.match(capacity({ rs1: { card: card(30) }, own: { card: card(5, null), isLocal: true } }).words, /of own is not known; set speedMbit in the controller's config/); // biome-ignore format: short
  t.match(capacity({ rs1: { card: card(30) }, rs2: { card: card(null, 100, 30) } }), {
    capacityMbit: 200,
    first: { loadPercent: 30 },
    words: /nothing is heard of the card of rs2/,
  });
  t.match(capacity({ rs1: { card: card(null, 100, 30) } }).first, { loadPercent: null });
});

t.test('in words: what is left without the one that carries most', async (t) => {
  const two = { rs1: { card: card(3.21) }, rs2: { card: card(3) } };
  const words = (of: DayPeak[]) => capacity(two, 'headroom', of).withoutLargest?.words;
  t.equal(words([]), 'without rs1 100 Mbit/s are left');
  t.match(capacity(two, 'headroom').words, /^6\.2 of 200 Mbit\/s \(3 %\); rs1's card/);
  t.match(words(days(21, (day) => 95 + (day - today))), 'without rs1 100 Mbit/s are left, full in 5 days (2024-10-09)');
  const before = days(21, (day) => (day < today - 7 ? 150 : 20));
  t.match(words(before), 'without rs1 100 Mbit/s are left, which the busiest days fill');
});

const serversArb = fc
  .array(
    fc.record({
      weight: fc.integer({ min: 1, max: 1000 }),
      card: fc.record({
        speedMbit: fc.constantFrom(10, 100, 1000, 2500),
        txMbit: fc.double({ min: 0, max: 3000, noNaN: true }),
        usualMbit: fc.double({ min: 0, max: 3000, noNaN: true }),
      }),
    }),
    { minLength: 1, maxLength: 8 },
  )
  .map((servers) => Object.fromEntries(servers.map((server, i) => [`rs${i}`, server])));
const balanceArb = fc.constantFrom('weights' as const, 'headroom' as const);

holds(
  t,
  'a pool has no more than its cards together, and less without one of them',
  fc.property(serversArb, balanceArb, (servers, balance) => {
    const { capacityMbit, withoutLargest, first } = capacity(servers, balance);
    const all = Object.values(servers).reduce((sum, { card }) => sum + card.speedMbit, 0);
    return (
      capacityMbit !== null &&
      capacityMbit > 0 &&
      capacityMbit <= all + 0.001 &&
      first !== null &&
      (withoutLargest?.capacityMbit ?? 1e9) <= all
    );
  }),
);

holds(
  t,
  'headroom makes at least as much of cards and equal weights as fixed shares do, and losing one never helps it',
  fc.property(serversArb, (some) => {
    const servers = Object.fromEntries(Object.entries(some).map(([name, server]) => [name, { ...server, weight: 1 }]));
    const even = capacity(servers, 'headroom');
    return (
      (even.capacityMbit ?? 0) >= (capacity(servers, 'weights').capacityMbit ?? 0) - 0.001 &&
      (even.withoutLargest?.capacityMbit ?? 0) < (even.capacityMbit ?? 0)
    );
  }),
);

holds(
  t,
  'twice as fast cards with twice the traffic are as full',
  fc.property(serversArb, balanceArb, (servers, balance) => {
    const twice = Object.fromEntries(
      Object.entries(servers).map(([name, { weight, card }]) => [
        name,
        { weight, card: { speedMbit: card.speedMbit * 2, txMbit: card.txMbit * 2, usualMbit: card.usualMbit * 2 } },
      ]),
    );
    const [a, b] = [capacity(servers, balance), capacity(twice, balance)];
    return (
      a.first?.realServer === b.first?.realServer &&
      Math.abs((a.fullPercent ?? 0) - (b.fullPercent ?? 0)) <= 0.002 * (a.fullPercent ?? 0) + 0.2
    );
  }),
);

t.test('a pool that no day is known of is learnt about', async (t) => {
  const { pools, cards, ...facts } = site({ rs1: { card: card(30) } });
  const of = capacityOf('web', pools.web as Pool, { ...facts, capacity: { cards, pasts: new Map() } });
  t.match(of, { peak: null, forecast: { state: 'learning', daysSeen: 0 } });
});

t.test('a minute counts for each pool, whole when all its cards were heard of', async (t) => {
  const { pools, standings, localAddresses, cards } = site({ rs1: { card: card(30) }, rs2: { card: card(12) } });
  const facts = { standings, localAddresses, day: 7 };
  const first = nextPeaks({ gone: [] }, pools, { ...facts, minute: cards });
  t.strictSame(first, { web: [{ day: 7, mbit: 42, minutes: 1 }] });
  const half = new Map([...cards, ['rs2', card(null)]]);
  t.strictSame(nextPeaks(first, pools, { ...facts, minute: half }), first, 'half of it is neither a peak nor a minute');
  t.strictSame(nextPeaks({}, pools, { ...facts, standings: new Map(), minute: cards }), {
    web: [{ day: 7, mbit: 0, minutes: 0 }],
  });
});

t.test('the peak is the highest of seven days, today among them', async (t) => {
  const past = [...days(9, (day) => (today - day) * 10), { day: today, mbit: 5, minutes: 1 }];
  t.match(pastOf(past, today).peak, { day: today - 6, mbit: 60 });
  t.equal(pastOf([], today).peak, undefined);
  t.match(pastOf([{ day: today + 1, mbit: 9, minutes: 1 }], today).peak, undefined, 'a clock that was set back');
});
