import fc from 'fast-check';
import t from 'tap';
import { type Contest, hold } from '../../infra/simulation/contest.ts';
import { scenarios } from '../../infra/simulation/scenarios.ts';
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
  'however late reports are, up to 3 s, weights that follow them never make a pool less even than speeds alone would',
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
  'what else leaves by a card is made room for, however late reports are',
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

t.test('no throughput is lost by following the cards', async (t) => {
  for (const key of Object.keys(scenarios)) {
    const mbit = (scheduler: Contest['scheduler']) =>
      hold({ ...contest, loads: [0.95], scenario: of(key), scheduler }).phases[0]?.mbit ?? 0;
    t.ok(mbit('headroom') >= 0.98 * mbit('sed'), key);
  }
});

t.test('the same seed gives the same result', async (t) => {
  const run = (seed: number) => hold({ ...contest, seed, scenario: of('e'), scheduler: 'headroom' });
  t.strictSame(run(7), run(7));
  t.not(run(7).connections, run(8).connections);
});
