import fc from 'fast-check';
import t from 'tap';
import { type Contest, hold } from '../../infra/simulation/contest.ts';
import { inLab, scenarios, speedsOf } from '../../infra/simulation/scenarios.ts';
import { holds } from '../property.ts';

t.setTimeout(600_000);
const contest: Omit<Contest, 'scheduler' | 'scenario'> = {
  cards: 4,
  cardMbit: 20,
  medianBytes: 16_000,
  loads: [0.75],
  warmUpSeconds: 20,
  settleSeconds: 30,
  measuredSeconds: 40,
  reportDelaySeconds: 0.5,
  seed: 1,
};
const unevenness = (more: Pick<Contest, 'scheduler' | 'scenario'> & Partial<Contest>): number =>
  hold({ ...contest, ...more }).phases[0]?.unevenness ?? Number.NaN;
const of = (key: string) => scenarios[key] ?? fail(key);
const fail = (key: string) => {
  throw new Error(`no scenario ${key}`);
};

const anyPool = {
  cards: fc.integer({ min: 2, max: 5 }),
  load: fc.double({ min: 0.3, max: 0.95, noNaN: true }),
  reportDelaySeconds: fc.double({ min: 0, max: 3, noNaN: true }),
  seed: fc.nat(2 ** 30),
};

holds(
  t,
  'however late reports are, up to 3 s, weights that follow them make a pool at most 1.5 x + 8 points less even than speeds alone would',
  fc.property(fc.record({ ...anyPool, key: fc.constantFrom('a', 'b') }), ({ key, load, ...more }) => {
    const scenario = of(key);
    const follows = unevenness({ ...more, loads: [load], scenario, scheduler: 'headroom' });
    const fixed = unevenness({ ...more, loads: [load], scenario, scheduler: 'sed' });
    return follows <= 1.5 * fixed + 0.08;
  }),
  8,
);

holds(
  t,
  'however late reports are, what else leaves by a card is made room for: at most 0.6 x as uneven as by speeds alone, or 8 %',
  fc.property(fc.record(anyPool), ({ load, ...more }) => {
    const settleSeconds = 90;
    const scenario = of('c');
    const follows = unevenness({
      ...more,
      settleSeconds,
      loads: [Math.max(0.5, load)],
      scenario,
      scheduler: 'headroom',
    });
    const fixed = unevenness({ ...more, settleSeconds, loads: [Math.max(0.5, load)], scenario, scheduler: 'sed' });
    return follows <= Math.max(0.6 * fixed, 0.08);
  }),
  5,
);

t.test('at most 2 % of throughput is lost by following the cards', async (t) => {
  for (const key of Object.keys(scenarios)) {
    const mbit = (scheduler: Contest['scheduler']) =>
      hold({ ...contest, loads: [0.95], scenario: of(key), scheduler }).phases[0]?.mbit ?? 0;
    t.ok(mbit('headroom') >= 0.98 * mbit('sed'), key);
  }
});

t.test(
  'of 1,000 cards, a quarter of them slow or busy, weights that follow them make a pool more even than wlc',
  async (t) => {
    // Cards so slow that it takes seconds, not minutes.
    const large = { ...contest, cards: 1000, cardMbit: 2, warmUpSeconds: 5, settleSeconds: 15, measuredSeconds: 10 };
    for (const key of ['b', 'c']) {
      const of = (scheduler: Contest['scheduler']) =>
        unevenness({ ...large, scenario: scenarios[key] ?? fail(key), scheduler });
      const [follows, fixed] = [of('headroom'), of('wlc')];
      t.ok(follows < (key === 'c' ? 0.6 : 1) * fixed, `${key}: ${follows}, ${fixed}`);
    }
  },
);

t.test('the lab carries what is asked for in every scenario, within its times', async (t) => {
  const seeds = [1, 2, 3, 4];
  for (const [key, scenario] of Object.entries(scenarios)) {
    const cardMbit = speedsOf(scenario, 4, inLab.cardMbit).reduce((sum, speed) => sum + speed, 0);
    const runs = seeds.map((seed) => hold({ ...contest, ...inLab, seed, scenario, scheduler: 'wlc' }));
    for (const [i, load] of inLab.loads.entries()) {
      const mbit = runs.reduce((sum, { phases }) => sum + (phases[i]?.mbit ?? 0), 0) / runs.length;
      const share = mbit / load / cardMbit;
      t.ok(share > 0.9 && (load > 0.75 || share < 1.1), `${key} at ${load * 100} %: ${share}`);
    }
  }
});

t.test('the same seed gives the same result', async (t) => {
  const run = (seed: number) => hold({ ...contest, seed, scenario: of('e'), scheduler: 'headroom' });
  t.strictSame(run(7), run(7));
  t.not(run(7).connections, run(8).connections);
});
