import fc from 'fast-check';
import t from 'tap';
import { type Finding, type Health, nextHealth, type Outcome, unknownHealth } from '../../src/core/health.ts';
import { nextTenures, type Observed, standingsOf, tenureKey } from '../../src/core/standings.ts';
import { targetKey, targetsOf } from '../../src/core/targets.ts';
import { type Pools, poolsSchema, type Report } from '../../src/schema.ts';
import { fitAgents } from '../arbitraries.ts';
import { down, everyProbeUp, refused } from '../health.ts';
import { holds } from '../property.ts';

const vip = '192.0.2.100';
const balanced = { policy: 'real-servers' };
const rs1 = { address: '192.0.2.11' };
const rs2 = { address: '192.0.2.12' };
const now = 1_000_000;
const web = (more: object = {}): Pools =>
  poolsSchema.parse({
    web: { vip, ports: { '80/tcp': balanced, '443/tcp': balanced }, realServers: { rs1, rs2 }, ...more },
  });
const observed = (pools: Pools, more: Partial<Observed> = {}): Observed => ({
  agents: fitAgents(pools, now),
  findings: everyProbeUp,
  proberProblem: undefined,
  listening: new Map(),
  localAddresses: new Set(['192.0.2.1']),
  tenures: new Map(),
  headrooms: new Map(),
  now,
  ...more,
});
const of = (pools: Pools, more: Partial<Observed> = {}) => standingsOf(pools, [], observed(pools, more)).get('web')!;
/** Findings of all targets of these pools: up, but as `judge` says. */
const findingsOf = (
  pools: Pools,
  judge: (target: { address: string; port: number }) => Finding['health'] | undefined,
) =>
  new Map<string, Finding>(
    targetsOf(pools, new Set()).flatMap((target) => {
      const [key, health] = [targetKey(target), judge(target)];
      return health ? [[key, { key, health, at: now }]] : [];
    }),
  );
const well = { verdict: 'up', hard: false, words: 'answered' } as const;

t.test('each balanced port has its own standings; a port that stays on the director has none', async (t) => {
  const pools = web({ ports: { '80/tcp': balanced, '443/tcp': balanced, '8080/tcp': { policy: 'director' } } });
  const findings = findingsOf(pools, ({ address, port }) => (address === rs1.address && port === 443 ? refused : well));
  const { ports } = of(pools, { findings });
  t.strictSame([...ports.keys()], ['80/tcp', '443/tcp']);
  t.match(ports.get('80/tcp')?.members.get('rs1'), { weight: 100, serving: true });
  t.match(ports.get('443/tcp')?.members.get('rs1'), { weight: 0, serving: false, reason: 'is refused' });
  t.match(ports.get('443/tcp')?.members.get('rs2'), { weight: 100, serving: true });
});

t.test('the word on a real server over all ports is the worst port’s, which is named where they differ', async (t) => {
  const pools = web();
  const findings = findingsOf(pools, ({ address, port }) => (address === rs1.address && port === 443 ? down : well));
  const { realServers } = of(pools, { findings });
  t.match(realServers.get('rs1'), { weight: 0, serving: false, well: false, reason: '443/tcp: does not answer' });
  t.match(realServers.get('rs2'), { weight: 100, serving: true, well: true, reason: /^in service: answered/ });
  t.strictSame(of(web({ ports: { '80/tcp': { policy: 'director' } } })).realServers.get('rs1'), {
    weight: 0,
    serving: false,
    well: true,
    reason: 'no port of this pool is balanced: 192.0.2.11 gets nothing to do',
  });
});

t.test('of ports that are equally bad the first is told', async (t) => {
  const pools = web();
  const agents = fitAgents(pools, now);
  const findings = findingsOf(pools, ({ port }) =>
    port === 443 ? { ...refused, words: 'second' } : { ...refused, words: 'first' },
  );
  t.match(of(pools, { agents, findings }).realServers.get('rs1'), {
    serving: false,
    well: false,
    reason: '80/tcp: first',
  });
});

t.test('a target of which nothing is known yet is unknown', async (t) => {
  const { ports } = of(web(), { findings: new Map() });
  t.match(ports.get('80/tcp')?.members.get('rs1'), { serving: false, reason: 'not checked yet through the VIP' });
});

t.test('a port without a check is judged by the agent alone', async (t) => {
  const pools = web({ ports: { '53/udp': balanced } });
  const more = { findings: new Map() };
  t.match(of(pools, more).realServers.get('rs1'), {
    weight: 100,
    well: true,
    reason: /^in service: its agent reports/,
  });
  t.match(of(pools, { ...more, agents: new Map() }).realServers.get('rs1'), { weight: 0, well: false });
});

t.test('the director as a real server is not probed, needs no agent, and must listen', async (t) => {
  const pools = web({ realServers: { self: { address: '192.0.2.1' } } });
  const more = { agents: new Map(), findings: new Map() };
  t.match(of(pools, more).realServers.get('self'), { weight: 100, well: true, reason: /it is the director itself/ });
  const listening = new Map([
    [`${vip}:80/tcp`, true],
    [`${vip}:443/tcp`, false],
  ]);
  const { ports } = of(pools, { ...more, listening });
  t.equal(ports.get('80/tcp')?.members.get('self')?.serving, true);
  t.match(ports.get('443/tcp')?.members.get('self'), {
    weight: 0,
    well: false,
    reason: /nothing on it listens on 443\/tcp/,
  });
});

t.test('a drain that goes on is told at the member that it is of', async (t) => {
  const pools = web({ realServers: { rs1: { ...rs1, state: 'drain' }, rs2: { ...rs2, state: 'drain' } } });
  const drain = {
    pool: 'web',
    realServer: 'rs1',
    vip,
    address: rs1.address,
    ports: [],
    deadline: 0,
    drainMs: 0,
    done: false,
  };
  const { realServers } = standingsOf(pools, [drain], observed(pools)).get('web')!;
  t.match(realServers.get('rs1')?.reason, /the established ones go on/);
  t.match(realServers.get('rs2')?.reason, /out of service/);
});

t.test('the pool’s own rules hold at each of its ports', async (t) => {
  const pools = web({ maxEjectedPercent: 0, attestation: 'optional', fallback: 'director' });
  const { ports } = of(pools, { agents: new Map(), findings: findingsOf(pools, () => down) });
  t.match(ports.get('80/tcp'), { notice: /the limit on ejections holds: 1 more/, directorAnswers: false });
  t.match(of(pools, { agents: new Map(), findings: findingsOf(pools, () => refused) }).ports.get('443/tcp'), {
    directorAnswers: true,
  });
});

t.test('a tenure begins with the pass that takes one in, goes on while it serves, and ends with that', async (t) => {
  const pools = web({ ports: { '80/tcp': balanced } });
  const [first, second] = [tenureKey(vip, '80/tcp', rs1.address), tenureKey(vip, '80/tcp', rs2.address)];
  const after = (more: Partial<Observed>, of = pools) => {
    const facts = observed(pools, more);
    return nextTenures(of, standingsOf(pools, [], facts), facts);
  };
  t.strictSame(
    [...after({ tenures: new Map([[first, 7]]) })],
    [
      [first, 7],
      [second, now],
    ],
  );
  const findings = findingsOf(pools, ({ address }) => (address === rs1.address ? refused : well));
  t.strictSame([...after({ tenures: new Map([[first, 7]]), findings })], [[second, now]]);
  t.strictSame(
    [...after({ tenures: new Map([[first, now + 9]]), findings: everyProbeUp })][0],
    [first, 0],
    'the clock went back',
  );
  t.strictSame([...after({}, {})], [], 'a pool that went has none');
  t.strictSame([...after({}, web({ realServers: { rs2 } }))], [[second, now]], 'nor has who left it');
});

/** What happens to a pool of real servers, one thing after the other. */
type Chapter =
  | { kind: 'outcome'; who: number; outcome: Outcome['kind'] }
  | { kind: 'agent'; who: number; says: 'fit' | 'unfit' | 'leaving' | 'silence' }
  | { kind: 'asked'; who: number; state: 'active' | 'drain' | 'maintenance' }
  | { kind: 'restart' | 'reboot' }
  | { kind: 'prober'; problem: string | undefined }
  | { kind: 'time'; ms: number };

const names = ['rs1', 'rs2', 'rs3', 'rs4'];
const who = fc.nat(names.length - 1);
const chapterArb: fc.Arbitrary<Chapter> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('outcome' as const),
      who,
      outcome: fc.constantFrom('ok', 'ok', 'refused', 'unreachable', 'timeout', 'wrong', 'broken'),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('agent' as const),
      who,
      says: fc.constantFrom('fit', 'fit', 'unfit', 'leaving', 'silence'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('asked' as const),
      who,
      state: fc.constantFrom('active', 'drain', 'maintenance'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom('restart' as const, 'reboot' as const) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('prober' as const),
      problem: fc.constantFrom(undefined, undefined, 'no ipvlan'),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('time' as const),
      ms: fc.oneof(fc.nat(20_000), fc.integer({ min: -3_600_000, max: 0 })),
    }),
  },
) as fc.Arbitrary<Chapter>;
const storyArb = fc.record({
  chapters: fc.array(chapterArb, { maxLength: 40 }),
  slowStartMs: fc.constantFrom(0, 10_000),
  maxEjectedPercent: fc.constantFrom(0, 34, 50, 100),
  fallback: fc.constantFrom('refuse', 'director', 'keep'),
  attestation: fc.constantFrom('required', 'required', 'optional'),
  weights: fc.array(fc.constantFrom(1, 7, 100, 65535), { minLength: names.length, maxLength: names.length }),
  rise: fc.integer({ min: 1, max: 3 }),
  fall: fc.integer({ min: 1, max: 3 }),
});
type Story = typeof storyArb extends fc.Arbitrary<infer S> ? S : never;

/** A pool of one port as its director sees it, pass after pass. */
interface Life {
  pools: Pools;
  health: Map<string, Health & { at: number }>;
  agents: Map<string, { report: Report; lastReport: number | null }>;
  proberProblem: string | undefined;
  tenures: ReadonlyMap<string, number>;
  now: number;
}

const addressOf = (name: string) => `192.0.2.${11 + names.indexOf(name)}`;

function begin(story: Omit<Story, 'chapters'>): Life {
  const { slowStartMs, maxEjectedPercent, fallback, attestation, weights, rise, fall } = story;
  const pools = poolsSchema.parse({
    web: {
      ...{ vip, slowStartMs, maxEjectedPercent, fallback, attestation, check: { type: 'tcp', rise, fall } },
      ports: { '80/tcp': balanced },
      realServers: Object.fromEntries(names.map((name, i) => [name, { address: addressOf(name), weight: weights[i] }])),
    },
  });
  return { pools, health: new Map(), agents: new Map(), proberProblem: undefined, tenures: new Map(), now };
}

const reportOf = (name: string, more: Partial<Report> = {}): Report => ({
  ...{ protocol: 1, machineId: name, bootId: 'b', revision: 1, problems: [] },
  addresses: [addressOf(name)],
  vips: { [vip]: { present: true, suppressed: true } },
  ...more,
});

function speak(life: Life, name: string, says: 'fit' | 'unfit' | 'leaving'): void {
  const more = { fit: {}, unfit: { vips: {} }, leaving: { leaving: true } }[says];
  life.agents.set(name, { report: reportOf(name, more), lastReport: life.now });
}

function probe(life: Life, name: string, kind: Outcome['kind']): void {
  const before = life.health.get(name) ?? { ...unknownHealth, at: 0 };
  const { check } = life.pools.web!;
  const health = nextHealth(before, { kind, words: kind }, check!);
  life.health.set(name, { ...health, at: health.verdict === before.verdict ? before.at : life.now });
}

/** One pass of the director, which agents that are not silent have told of themselves just before. */
function look(life: Life) {
  const findings = new Map<string, Finding>(
    targetsOf(life.pools, new Set()).flatMap((target) => {
      const name = names.find((name) => addressOf(name) === target.address)!;
      const key = targetKey(target);
      const health = life.health.get(name);
      return health ? [[key, { key, health, at: health.at }]] : [];
    }),
  );
  const { agents, proberProblem, tenures, now } = life;
  const facts = observed(life.pools, { agents, findings, proberProblem, tenures, now, localAddresses: new Set() });
  const standings = standingsOf(life.pools, [], facts);
  life.tenures = nextTenures(life.pools, standings, facts);
  return standings.get('web')!.ports.get('80/tcp')!;
}

function live(life: Life, chapter: Chapter): void {
  switch (chapter.kind) {
    case 'outcome':
      probe(life, names[chapter.who]!, chapter.outcome);
      return;
    case 'agent': {
      const name = names[chapter.who]!;
      const agent = life.agents.get(name);
      if (chapter.says !== 'silence') speak(life, name, chapter.says);
      else if (agent) agent.lastReport = null;
      return;
    }
    case 'asked':
      life.pools.web!.realServers[names[chapter.who]!]!.state = chapter.state;
      return;
    case 'restart':
    case 'reboot':
      // What serves is read from the kernel again after a restart; after a reboot the kernel knows nothing.
      life.tenures = new Map(chapter.kind === 'reboot' ? [] : [...life.tenures.keys()].map((key) => [key, 0]));
      life.health.clear();
      for (const agent of life.agents.values()) agent.lastReport = null;
      return;
    case 'prober':
      life.proberProblem = chapter.problem;
      return;
    case 'time':
      life.now += chapter.ms;
  }
}

const serving = ({ members }: ReturnType<typeof look>) =>
  [...members].filter(([, { serving }]) => serving).map(([name]) => name);

holds(
  t,
  'whatever happened before, who is probed well and attested fit serves at once, and has all its weight after its slow start',
  fc.property(storyArb, (story) => {
    const life = begin(story);
    for (const chapter of story.chapters) {
      live(life, chapter);
      look(life);
    }
    life.proberProblem = undefined;
    const asWanted = () => Object.values(life.pools.web!.realServers);
    for (const server of asWanted()) server.state = 'active';
    const allWell = () => {
      for (const name of names) {
        for (let i = 0; i < story.rise; i++) probe(life, name, 'ok');
        speak(life, name, 'fit');
      }
      return look(life);
    };
    const first = [...allWell().members.values()].every(({ weight, serving }) => serving && weight > 0);
    life.now += story.slowStartMs;
    const last = [...allWell().members];
    return (
      first && last.every(([name, { weight, well }]) => well && weight === life.pools.web!.realServers[name]!.weight)
    );
  }),
  300,
);

holds(
  t,
  'at every pass of every history a weight is 0 exactly where nothing is served',
  fc.property(storyArb, (story) => {
    const life = begin(story);
    return story.chapters.every((chapter) => {
      live(life, chapter);
      return [...look(life).members.values()].every(({ weight, serving }) => serving === weight > 0);
    });
  }),
);

holds(
  t,
  'agents that all fall silent take nobody out, whatever was before and however long it lasts, while probes are up',
  fc.property(storyArb, fc.nat(3_600_000), (story, ms) => {
    const life = begin(story);
    for (const chapter of story.chapters) {
      live(life, chapter);
      look(life);
    }
    for (const name of names) for (let i = 0; i < story.rise; i++) probe(life, name, 'ok');
    // Who is kept by the fallback has served from then on: the next pass may do without the others.
    look(life);
    const before = serving(look(life));
    for (const agent of life.agents.values()) agent.lastReport = null;
    life.now += ms;
    const after = serving(look(life));
    return before.every((name) => after.includes(name));
  }),
  300,
);

holds(
  t,
  'where attestation is required, who was never attested gets no weight in any history',
  fc.property(storyArb, (story) => {
    const life = begin({ ...story, attestation: 'required' });
    const attested = new Set<string>();
    return story.chapters.every((chapter) => {
      live(life, chapter);
      if (chapter.kind === 'agent' && chapter.says !== 'silence') attested.add(names[chapter.who]!);
      return serving(look(life)).every((name) => attested.has(name));
    });
  }),
);

holds(
  t,
  'a pass takes out no more by doubtful failures than their share, so that a bad check empties no pool',
  fc.property(storyArb, (story) => {
    const life = begin({ ...story, attestation: 'required', maxEjectedPercent: 50 });
    for (const name of names) {
      speak(life, name, 'fit');
      probe(life, name, 'ok');
    }
    let before = serving(look(life)).length;
    if (before !== names.length) return false;
    for (const name of names) for (let i = 0; i < story.fall; i++) probe(life, name, 'timeout');
    for (const chapter of story.chapters.filter(({ kind }) => kind === 'time')) {
      live(life, chapter);
      const left = serving(look(life)).length;
      if (left < names.length / 2 || left > before) return false;
      before = left;
    }
    return serving(look(life)).length === names.length / 2;
  }),
);
