import fc from 'fast-check';
import t from 'tap';
import type { Attestation } from '../../src/core/agents.ts';
import type { Drain } from '../../src/core/state.ts';
import { type Candidate, type PortStandings, standingsOfPort, type WeightRules } from '../../src/core/weight.ts';
import { realServerSchema } from '../../src/schema.ts';
import { down, refused, up } from '../health.ts';
import { holds } from '../property.ts';

const server = (more: object = {}) => realServerSchema.parse({ address: '192.0.2.11', ...more });
const fit: Attestation = { verdict: 'fit', silent: false, reason: 'its agent is content' };
const silent: Attestation = { ...fit, silent: true, reason: 'its agent is silent' };
const unfit: Attestation = { ...fit, verdict: 'unfit', reason: 'no VIP' };
const never: Attestation = { verdict: 'never', silent: true, reason: 'no agent' };
const leaving: Attestation = { ...fit, verdict: 'leaving', reason: 'it shuts down' };
const unknown = { verdict: 'unknown', hard: false, words: 'not checked yet' } as const;
const drain = (done: boolean) => ({ done }) as Drain;

const candidate = (more: Partial<Candidate> = {}): Candidate => ({
  server: server(),
  drain: undefined,
  attestation: fit,
  probe: { ...up, at: 0 },
  servingSince: 0,
  headroom: undefined,
  ...more,
});
/** Has served all along, and a doubtful probe found it down at `at`. */
const failing = (at = 0, more: Partial<Candidate> = {}) => candidate({ probe: { ...down, at }, ...more });
const gone = candidate({ probe: { ...refused, at: 0 } });

const rules: WeightRules = {
  maxEjectedPercent: 50,
  slowStartMs: 0,
  fallback: 'refuse',
  proberProblem: undefined,
  now: 1_000_000,
};
const port = (candidates: Record<string, Candidate>, more: Partial<WeightRules> = {}): PortStandings =>
  standingsOfPort(new Map(Object.entries(candidates)), { ...rules, ...more });
/** The standing of one beside another that is well. */
const standing = (of: Partial<Candidate>, more: Partial<WeightRules> = {}) =>
  port({ rs1: candidate(of), other: candidate() }, more).members.get('rs1');
const serving = ({ members }: PortStandings) => [...members].filter(([, { serving }]) => serving).map(([name]) => name);

t.test('an active real server that probe and agent find well has the weight that was asked for', async (t) => {
  for (const weight of [1, 100, 65535])
    t.strictSame(standing({ server: server({ weight }) }), {
      weight,
      serving: true,
      well: true,
      reason: 'in service: answered; its agent is content',
    });
});

t.test('a drain that is left over never holds an active real server at weight 0', async (t) => {
  for (const done of [false, true]) t.match(standing({ drain: drain(done) }), { weight: 100, serving: true });
});

t.test('weight 0 in the pool is nobody’s fault, and says how to end it', async (t) => {
  const zero = server({ weight: 0 });
  t.match(standing({ server: zero }), { weight: 0, serving: false, well: true, reason: /weight is 0/ });
});

t.test('drain and maintenance are weight 0 and well, whatever agent and probe say', async (t) => {
  for (const state of ['drain', 'maintenance'] as const)
    for (const attestation of [fit, never, unfit, leaving])
      for (const probe of [up, down, refused, unknown]) {
        const of = standing({ server: server({ state }), attestation, probe: { ...probe, at: 0 } });
        t.match(of, { weight: 0, serving: false, well: true, reason: `${state}: out of service` });
        t.match(of?.reason, /set state to "active"/);
      }
});

t.test('while a drain goes on, the reason says that established connections go on', async (t) => {
  const reason = (done: boolean) => standing({ server: server({ state: 'drain' }), drain: drain(done) })?.reason;
  t.match(reason(false), /the established ones go on/);
  t.match(reason(true), /out of service/);
});

t.test('a host that is about to shut down gets nothing new, and that is well', async (t) => {
  t.strictSame(standing({ attestation: leaving }), { weight: 0, serving: false, well: true, reason: 'it shuts down' });
});

t.test(
  'who was never attested, or is unfit, has weight 0 whatever the probe says, and the agent says why',
  async (t) => {
    for (const attestation of [never, unfit])
      t.strictSame(standing({ attestation }), { weight: 0, serving: false, well: false, reason: attestation.reason });
  },
);

t.test('a silent agent takes nobody out of service, and needs a look', async (t) => {
  t.match(standing({ attestation: silent }), { weight: 100, well: false, reason: /answered; its agent is silent$/ });
  t.match(standing({ attestation: { ...unfit, silent: true } }), { weight: 0 }, 'its last word still holds');
});

t.test(
  'a probe that finds it down takes it out, with the probe’s words, and the agent’s when it is silent',
  async (t) => {
    t.strictSame(standing({ probe: { ...down, at: 0 } }), {
      weight: 0,
      serving: false,
      well: false,
      reason: down.words,
    });
    t.match(standing({ probe: { ...refused, at: 0 }, attestation: silent }), {
      serving: false,
      reason: 'is refused; its agent is silent',
    });
  },
);

t.test('where nothing is probed the attestation decides alone', async (t) => {
  t.match(standing({ probe: undefined }), { weight: 100, well: true, reason: 'in service: its agent is content' });
  t.match(standing({ probe: undefined, attestation: unfit }), { weight: 0, well: false });
  t.match(standing({ probe: undefined, attestation: silent }), { weight: 100, well: false });
});

t.test('while checks say nothing yet, who served goes on and who is new waits', async (t) => {
  const probe = { ...unknown, at: 0 };
  t.match(standing({ probe }), { weight: 100, well: true, reason: /content; not checked yet/ });
  t.match(standing({ probe, servingSince: undefined }), {
    weight: 0,
    well: false,
    reason: 'not checked yet through the VIP',
  });
});

t.test('while nothing can be probed the agents decide, and silence alone takes nobody out', async (t) => {
  const proberProblem = 'no ipvlan';
  const probe = { ...unknown, at: 0 };
  const words = /nothing can be probed: no ipvlan/;
  t.match(standing({ probe, servingSince: undefined }, { proberProblem }), { weight: 100, well: false, reason: words });
  t.match(standing({ probe, attestation: silent }, { proberProblem }), { weight: 100, well: false, reason: words });
  t.match(standing({ probe, attestation: silent, servingSince: undefined }, { proberProblem }), {
    weight: 0,
    well: false,
    reason: words,
  });
  t.match(standing({ probe: { ...refused, at: 0 } }, { proberProblem }), { weight: 0 }, 'who was down is still out');
  t.match(standing({ probe: undefined }, { proberProblem }), { weight: 100, well: true }, 'itself it never probes');
});

t.test('a real server that comes in reaches its weight over slowStartMs, in a line and never with 0', async (t) => {
  const at = (ms: number, more: Partial<Candidate> = {}) =>
    standing({ servingSince: rules.now - ms, ...more }, { slowStartMs: 10_000 });
  t.match(standing({ servingSince: undefined }, { slowStartMs: 10_000 }), { weight: 1, serving: true, well: true });
  t.match(at(0), { weight: 1, reason: /; slow start, 0 % of its weight$/ });
  t.match(at(2550), { weight: 25, reason: /; slow start, 25 % of its weight$/ });
  t.match(at(9999), { weight: 99 });
  for (const ms of [10_000, 1e9, -5000]) {
    t.equal(at(ms)?.weight, 100, `${ms} ms, also where the clock went back`);
    t.notMatch(at(ms)?.reason, /slow start/);
  }
  t.match(at(9000, { server: server({ weight: 1 }) }), { weight: 1 });
  t.notMatch(at(9000, { server: server({ weight: 1 }) })?.reason, /slow start/);
});

t.test(
  'doubtful failures take out half of a port’s real servers, the first that failed; the rest stays in',
  async (t) => {
    const four = { a: failing(3), b: failing(1), c: failing(2), d: candidate() };
    const standings = port(four);
    t.strictSame(serving(standings), ['a', 'd']);
    t.match(standings.members.get('a'), {
      weight: 100,
      well: false,
      reason: 'kept in by the limit on ejections (50 %): does not answer',
    });
    t.match(standings.notice, /1 more fails than the 50 % that may be taken out at once/);
    t.match(port({ ...four, d: failing(4) }).notice, /2 more fail than/);
    t.strictSame(serving(port(four, { maxEjectedPercent: 75 })), ['d']);
    t.equal(port(four, { maxEjectedPercent: 75 }).notice, undefined);
  },
);

t.test('at least one may be taken out, and of those that failed at once the first by name', async (t) => {
  t.strictSame(serving(port({ a: failing() })), []);
  t.strictSame(serving(port({ a: failing(), b: failing() }, { maxEjectedPercent: 0 })), ['b']);
  t.strictSame(serving(port({ b: failing(), a: failing() }, { maxEjectedPercent: 0 })), ['b']);
});

t.test('who is out already stays out, and nobody comes in by the limit in exchange for one that served', async (t) => {
  const out = failing(9, { servingSince: undefined });
  t.strictSame(serving(port({ a: out, b: failing(1), c: candidate() })), ['b', 'c']);
});

t.test('failures without doubt do not count against the limit, nor do those that were asked out', async (t) => {
  const away = candidate({ server: server({ state: 'maintenance' }) });
  t.strictSame(serving(port({ a: gone, b: gone, c: gone, d: gone })), []);
  t.strictSame(serving(port({ a: gone, b: gone, c: failing(), d: candidate() })), ['d']);
  t.strictSame(serving(port({ a: away, b: away, c: failing(1), d: failing(2) })), ['d'], 'two are concerned');
});

t.test('with nobody left connections are refused, unless the pool says otherwise', async (t) => {
  const standings = port({ a: gone });
  t.strictSame(serving(standings), []);
  t.equal(standings.directorAnswers, false);
  t.match(standings.notice, /connections are refused \(fallback "refuse"\)/);
  t.equal(port({ a: gone, b: candidate() }).notice, undefined, 'one is left');
});

t.test(
  'the director answers by itself where nobody is left, also when all were asked out or never named',
  async (t) => {
    const fallback = 'director';
    t.match(port({ a: gone }, { fallback }), { directorAnswers: true, notice: /the director answers by itself/ });
    const away = candidate({ server: server({ state: 'maintenance' }) });
    t.match(port({ a: away }, { fallback }), { directorAnswers: true, notice: undefined }, 'as it was asked');
    t.match(port({}, { fallback }), { directorAnswers: true, notice: undefined });
    t.equal(port({ a: candidate() }, { fallback }).directorAnswers, false);
  },
);

t.test('with fallback "keep" all that were fit before are kept in when nobody is left', async (t) => {
  const fallback = 'keep';
  const standings = port(
    {
      gone,
      unfit: candidate({ attestation: unfit }),
      never: candidate({ attestation: never }),
      new: candidate({ probe: { ...unknown, at: 0 }, servingSince: undefined }),
      away: candidate({ server: server({ state: 'maintenance' }) }),
    },
    { fallback },
  );
  t.strictSame(serving(standings), ['gone', 'unfit']);
  t.match(standings.members.get('gone'), {
    weight: 100,
    well: false,
    reason: 'kept in by fallback "keep", as nobody is left: is refused',
  });
  t.match(standings.notice, /are kept in \(fallback "keep"\)/);
  t.strictSame(serving(port({ gone, b: candidate() }, { fallback })), ['b'], 'one is left');
  t.equal(port({}, { fallback }).notice, undefined);
});

const candidateArb: fc.Arbitrary<Candidate> = fc.record({
  server: fc
    .record({
      state: fc.constantFrom('active', 'active', 'active', 'drain', 'maintenance'),
      weight: fc.constantFrom(0, 1, 7, 100, 65535),
    })
    .map(server),
  drain: fc.constantFrom(undefined, drain(false), drain(true)),
  attestation: fc.constantFrom(fit, fit, fit, silent, unfit, { ...unfit, silent: true }, never, leaving),
  probe: fc.option(
    fc.tuple(fc.constantFrom(up, up, down, down, refused, unknown), fc.nat(5)).map(([probe, at]) => ({ ...probe, at })),
    { nil: undefined, freq: 9 },
  ),
  servingSince: fc.constantFrom(undefined, 0, rules.now - 500, rules.now, rules.now + 500),
  headroom: fc.constantFrom(
    undefined,
    undefined,
    { weight: 1, words: 'by headroom' },
    { weight: 1000, words: 'by headroom' },
  ),
});
const asked = (of: Candidate | undefined) => of?.headroom?.weight ?? of?.server.weight ?? 0;
const portArb = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'), candidateArb, { noNullPrototype: true });
const rulesArb: fc.Arbitrary<WeightRules> = fc.record({
  maxEjectedPercent: fc.constantFrom(0, 1, 25, 34, 50, 75, 100),
  slowStartMs: fc.constantFrom(0, 1000),
  fallback: fc.constantFrom('refuse', 'director', 'keep'),
  proberProblem: fc.constantFrom(undefined, undefined, 'no ipvlan'),
  now: fc.constant(rules.now),
});

const isAsked = ({ server, attestation }: Candidate) =>
  server.state !== 'active' || server.weight === 0 || attestation.verdict === 'leaving';
const isUnattested = ({ attestation }: Candidate) => attestation.verdict === 'never' || attestation.verdict === 'unfit';
/** A proof leaves no doubt that nothing must be sent there. */
const isOut = (c: Candidate) => !isAsked(c) && (isUnattested(c) || (c.probe?.verdict === 'down' && c.probe.hard));
const isDoubtful = (c: Candidate) => !isAsked(c) && !isOut(c) && c.probe?.verdict === 'down';

holds(
  t,
  'everybody has a standing, and its weight is 0 exactly when it does not serve, and never more than was asked for',
  fc.property(portArb, rulesArb, (candidates, more) => {
    const { members } = port(candidates, more);
    return (
      [...members.keys()].join() === Object.keys(candidates).join() &&
      [...members].every(
        ([name, { weight, serving, reason }]) =>
          serving === weight > 0 && weight <= asked(candidates[name]) && reason !== '',
      )
    );
  }),
  1000,
);

holds(
  t,
  'doubtful failures take out no more than their share of those concerned, and at least one may go',
  fc.property(portArb, rulesArb, (candidates, more) => {
    const { members } = port(candidates, more);
    const all = Object.entries(candidates);
    const doubtful = all.filter(([, c]) => isDoubtful(c));
    const out = doubtful.filter(([name]) => !members.get(name)?.serving);
    // Who waits for its first good check is not concerned: it is not in.
    const concerned = all.filter(([name, c]) => isDoubtful(c) || members.get(name)?.serving).length;
    const isKept = more.fallback === 'keep' && all.some(([name, c]) => isOut(c) && members.get(name)?.serving);
    return isKept || out.length <= Math.max(1, Math.floor((concerned * more.maxEjectedPercent) / 100));
  }),
  1000,
);

holds(
  t,
  'failures without doubt always take out, unless the pool keeps all that were fit when nobody is left',
  fc.property(portArb, rulesArb, (candidates, more) => {
    const { members } = port(candidates, more);
    const left = serving(port(candidates, { ...more, fallback: 'refuse' }));
    return Object.entries(candidates).every(([name, c]) => {
      if (!isOut(c) || !members.get(name)?.serving) return true;
      return more.fallback === 'keep' && left.length === 0 && c.attestation.verdict !== 'never';
    });
  }),
  1000,
);

holds(
  t,
  'who was asked out is out, and who is well by probe and attestation serves, whatever the others do',
  fc.property(portArb, rulesArb, (candidates, more) => {
    const { members } = port(candidates, more);
    return Object.entries(candidates).every(([name, c]) => {
      const is = members.get(name)?.serving;
      if (isAsked(c)) return is === false;
      return (
        isUnattested(c) ||
        c.probe?.verdict !== 'up' ||
        (more.proberProblem !== undefined && c.attestation.silent) ||
        is === true
      );
    });
  }),
  1000,
);

holds(
  t,
  'the director answers exactly when its pool says so and nobody serves',
  fc.property(portArb, rulesArb, (candidates, more) => {
    const standings = port(candidates, more);
    return standings.directorAnswers === (more.fallback === 'director' && serving(standings).length === 0);
  }),
);

holds(
  t,
  'the order in which the members are written makes no difference',
  fc.property(portArb, rulesArb, (candidates, more) => {
    const turned = Object.fromEntries(Object.entries(candidates).reverse());
    return serving(port(candidates, more)).sort().join() === serving(port(turned, more)).sort().join();
  }),
);
