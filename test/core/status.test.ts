import fc from 'fast-check';
import t from 'tap';
import type { CapacityBrief } from '../../src/core/capacity/pool.ts';
import { standingsOf } from '../../src/core/standings.ts';
import { poolsOf } from '../../src/core/state.ts';
import { detailOf, missingOf, type StatusFacts, summaryOf } from '../../src/core/status.ts';
import { targetKey, targetOf } from '../../src/core/targets.ts';
import { type CardRate, freshMs, trafficView } from '../../src/core/traffic.ts';
import { type BalancedPort, checkOf, poolsSchema, type Report } from '../../src/schema.ts';
import { fitAgents, worldArb } from '../arbitraries.ts';
import { addressOn } from '../fake-kernel.ts';
import { holds } from '../property.ts';
import { historyArb, live } from './history.ts';
import { createSite, factsOf, put, reconcile, type Site } from './site.ts';

const balanced = { policy: 'real-servers' };
const vip = '192.0.2.100';
const web = (realServers: object, ports: object = { '80/tcp': balanced }) =>
  poolsSchema.parse({ web: { vip, ports, realServers } });
const rs1 = { address: '192.0.2.11' };
const rs2 = { address: '192.0.2.12' };

/** Nothing goes through. */
const quiet: StatusFacts['traffic'] = {
  view: trafficView(undefined, new Map(), []),
  services: new Map(),
  cards: new Map(),
  connections: new Map(),
};

const unknown: CapacityBrief = {
  carriedMbit: 0,
  capacityMbit: null,
  fullPercent: null,
  first: null,
  peakPercent: null,
  fullInDays: null,
  withoutLargestPeakPercent: null,
};

/** A second before the clock of a site. */
const reportedAt = 999_000;

/** What status is told after a pass over this site. */
const factsFor = (site: Site, more: Partial<StatusFacts> = {}): StatusFacts => ({
  state: site.state,
  reconciledRevision: site.state.revision,
  services: site.world.services,
  addresses: site.world.addresses,
  standings: standingsOf(poolsOf(site.state), site.state.drains, factsOf(site)),
  findings: factsOf(site).findings,
  proberProblem: undefined,
  mtu: 1500,
  blocked: new Map(),
  failures: [],
  held: false,
  interface: 'eth0',
  manageVip: site.manageVip,
  agents: site.agents,
  listening: new Map(),
  connections: new Map(),
  traffic: quiet,
  capacity: { cards: new Map(), pasts: new Map() },
  claimants: [],
  now: site.clocks.wall,
  ...more,
});

function running(pools: ReturnType<typeof web>, more: Partial<Site> = {}): Site {
  const site = createSite({ agents: fitAgents(pools, reportedAt), ...more });
  put(site, pools);
  reconcile(site);
  return site;
}

t.test('when all is well the summary counts, and names nothing unwell', async (t) => {
  const site = running(web({ rs1, rs2 }));
  t.strictSame(summaryOf(factsFor(site)), {
    counts: { pools: 1, realServers: 2, serving: 2, services: 1, destinations: 2, draining: 0 },
    pools: { web: { vip, revision: 1, well: true, serving: 2, realServers: 2, missing: [], capacity: unknown } },
    traffic: quiet.view,
    unwell: [],
  });
});

t.test('a real server that is not fit is unwell, and so is its pool', async (t) => {
  const site = running(web({ rs1, rs2 }), { agents: fitAgents(web({ rs1 }), reportedAt) });
  const { pools, unwell } = summaryOf(factsFor(site));
  t.match(pools.web, { well: false, serving: 1, realServers: 2 });
  t.match(unwell, [{ pool: 'web', realServer: 'rs2', reason: /no agent has reported/ }]);
  t.equal(detailOf('web', factsFor(site))?.well, false);
});

t.test('maintenance is well: somebody asked for it', async (t) => {
  const { unwell } = summaryOf(factsFor(running(web({ rs1: { ...rs1, state: 'maintenance' } }))));
  t.strictSame(unwell, []);
});

t.test('what the kernel lacks of a pool is told once each, and not to other pools', async (t) => {
  const six = '2001:db8::100';
  const pools = poolsSchema.parse({
    web: { vip, ports: { '80/tcp': balanced } },
    six: { vip: six, ports: { '80/tcp': balanced } },
  });
  const service = (address: string) => ({ vip: address, port: 80, protocol: 'tcp' as const });
  const failures = [
    { step: { op: 'delete-service' as const, service: service(vip) }, message: 'no service' },
    { step: { op: 'delete-service' as const, service: service(six) }, message: 'no service of six' },
    { step: { op: 'announce' as const, address: vip, interface: 'eth0' }, message: 'no announcement' },
    { step: { op: 'announce' as const, address: vip, interface: 'eth0' }, message: 'no announcement' },
    { step: { op: 'set-sysctl' as const, key: 'net.x', value: '1' }, message: 'no sysctl' },
  ];
  const facts = { failures, blocked: new Map([[vip, 'taken by another host']]), held: false };
  t.strictSame(missingOf(pools.web!, facts), ['no service', 'no announcement', 'no sysctl', 'taken by another host']);
  t.strictSame(missingOf(pools.six!, facts), ['no service of six', 'no sysctl']);
  t.match(missingOf(pools.six!, { failures: [], blocked: new Map(), held: true }), [/agents have not all reported/]);
  const { unwell } = summaryOf(factsFor(running(web({})), { failures }));
  t.match(unwell, [{ pool: 'web', reason: 'no service' }, {}, {}]);
});

t.test('a pool’s detail tells desired, observed and actual of every real server, with the reason', async (t) => {
  const site = running(web({ rs1 }, { '80/tcp': balanced, '8080/tcp': { policy: 'director' } }));
  const [service] = site.world.services.values();
  service!.destinations[0]!.connections = { active: 1, inactive: 2, persistent: 3 };
  t.match(detailOf('web', factsFor(site)), {
    revision: 1,
    well: true,
    missing: [],
    vip: { address: vip, desired: true, actual: true, interface: 'eth0', reason: 'on eth0' },
    ports: {
      '80/tcp': { desired: { scheduler: 'wlc' }, actual: { scheduler: 'wlc', destinations: 1 } },
      '8080/tcp': {
        desired: { policy: 'director' },
        actual: { listening: null, service: false },
        reason: 'stays on this host',
      },
    },
    realServers: {
      rs1: {
        address: '192.0.2.11',
        weight: 100,
        serving: true,
        reason: /in service/,
        desired: { weight: 100, state: 'active' },
        observed: {
          agent: { lastReportAgoMs: 1000, revision: 1, problems: [] },
          vip: { present: true, suppressed: true },
        },
        actual: { '80/tcp': { weight: 100, activeConnections: 1, inactiveConnections: 2, persistentConnections: 3 } },
      },
    },
    leaving: [],
  });
  t.equal(detailOf('constructor', factsFor(site)), undefined);
});

t.test(
  'a port that stays on the director is well when something listens, and says what to start when nothing does',
  async (t) => {
    const site = running(web({}, { '8080/tcp': { policy: 'director' } }));
    const of = (listening: boolean) => factsFor(site, { listening: new Map([['192.0.2.100:8080/tcp', listening]]) });
    t.match(detailOf('web', of(true)), {
      well: true,
      ports: { '8080/tcp': { reason: /something listens on port 8080/ } },
    });
    t.match(detailOf('web', of(false)), {
      well: false,
      ports: { '8080/tcp': { reason: /nothing listens on 192\.0\.2\.100/ } },
    });
    t.match(summaryOf(of(false)).unwell, [{ pool: 'web', reason: /start the program/ }]);
  },
);

t.test('the VIP’s place is told in words', async (t) => {
  const words = (site: Site, more: Partial<StatusFacts> = {}) => detailOf('web', factsFor(site, more))?.vip.reason;
  const found = createSite();
  found.world.addresses.push(addressOn('eth1', vip));
  const elsewhere = running(web({}), { world: found.world });
  t.equal(words(elsewhere), 'on eth1, where it was found, not on eth0');
  t.equal(words({ ...elsewhere, manageVip: false }), 'on eth1');
  const away = running(web({}), { manageVip: false });
  t.match(words(away), /its owner \(manageVip is false\) has it elsewhere/);
  t.equal(words(away, { manageVip: true }), 'about to be taken');
  t.equal(words(away, { blocked: new Map([[vip, 'taken by another host']]) }), 'taken by another host');
});

t.test('before the first pass and the first report, status says so', async (t) => {
  const site = createSite();
  put(site, web({ rs1 }));
  const detail = detailOf('web', factsFor(site, { standings: new Map() }));
  t.match(detail, {
    ports: { '80/tcp': { actual: null } },
    realServers: {
      rs1: { weight: 0, serving: false, reason: 'not looked at yet', observed: { agent: null, vip: null }, actual: {} },
    },
  });
  t.match(summaryOf(factsFor(site, { standings: new Map() })).counts, { realServers: 0 });
  site.agents = fitAgents(web({ rs1 }), null);
  t.match(detailOf('web', factsFor(site))?.realServers.rs1?.observed.agent, { lastReportAgoMs: null });
});

t.test('a drain is told with what is left and until when, at its member or among those that leave', async (t) => {
  const site = running(web({ rs1, rs2 }));
  const [service] = site.world.services.values();
  for (const d of service!.destinations) d.connections.active = 4;
  put(site, web({ rs1: { ...rs1, state: 'drain' } }), 30_000);
  reconcile(site);
  site.state.drains.push({ ...site.state.drains[0]!, realServer: null, address: '192.0.2.77' });
  const detail = detailOf('web', factsFor(site));
  const drain = { done: false, remainingConnections: 4, deadline: new Date(1_030_000).toISOString() };
  t.strictSame(detail?.realServers.rs1?.drain, drain);
  t.strictSame(detail?.leaving, [
    { realServer: 'rs2', address: rs2.address, ...drain },
    { realServer: null, address: '192.0.2.77', ...drain, remainingConnections: 0 },
  ]);
  t.equal(summaryOf(factsFor(site)).counts.draining, 3);
});

t.test('a port that stays on the director but accepts nothing is not well, and says so', async (t) => {
  const site = running(web({}, { '8080/tcp': { policy: 'director' } }));
  const key = '192.0.2.100:8080/tcp';
  const of = (code: string | undefined) =>
    factsFor(site, { listening: new Map([[key, true]]), connections: new Map([[key, code]]) });
  t.match(detailOf('web', of(undefined)), { well: true, ports: { '8080/tcp': { actual: { accepting: true } } } });
  for (const code of ['ECONNREFUSED', 'ETIMEDOUT', 'EPERM'])
    t.match(detailOf('web', of(code)), {
      well: false,
      ports: { '8080/tcp': { actual: { accepting: false }, reason: /does not accept a connection to 192/ } },
    });
});

t.test('a port with a URL policy says so', async (t) => {
  const rules = [{ match: { extensions: ['jpg'] }, to: 'real-servers' }];
  const ports = { '80/tcp': { policy: 'url', rules, edge: { origin: '192.0.2.10:8080' } }, '81/tcp': balanced };
  t.match(detailOf('web', factsFor(running(web({ rs1 }, ports))))?.ports, {
    '80/tcp': { reason: /the URL decides \(engine "edge"\); connections are balanced/ },
    '81/tcp': { reason: 'balanced over the real servers' },
  });
});

t.test('what the probes came to is told of each balanced port, with since when', async (t) => {
  const ports = { '80/tcp': balanced, '443/tcp': balanced, '8080/tcp': { policy: 'director' } };
  const site = running(web({ rs1 }, ports));
  const { pool } = site.state.pools.web!;
  const key = targetKey(
    targetOf(vip, rs1.address, '443/tcp', checkOf(pool, '443/tcp', pool.ports['443/tcp'] as BalancedPort)!),
  );
  const health = { verdict: 'up' as const, hard: false, words: 'answered 200', certificateExpires: 86_400_000 };
  const findings = new Map([[key, { key, health, at: 1000 }]]);
  t.strictSame(detailOf('web', factsFor(site, { findings }))?.realServers.rs1?.observed.probes, {
    '443/tcp': {
      verdict: 'up',
      hard: false,
      words: 'answered 200',
      since: '1970-01-01T00:00:01.000Z',
      certificateExpires: '1970-01-02T00:00:00.000Z',
    },
  });
  const { certificateExpires: _, ...plain } = health;
  const without = new Map([[key, { key, health: plain, at: 1000 }]]);
  t.notOk(
    'certificateExpires' in
      detailOf('web', factsFor(site, { findings: without }))!.realServers.rs1!.observed.probes['443/tcp']!,
  );
});

t.test('each port of a real server has its own standing, and the pool’s word is the worst of them', async (t) => {
  const site = running(web({ rs1 }, { '80/tcp': balanced, '443/tcp': balanced }));
  const { report } = site.agents.get('rs1')!;
  report.vips[vip] = { present: true, suppressed: true, listening: { '443/tcp': 'nothing' } };
  const member = detailOf('web', factsFor(site))?.realServers.rs1;
  t.match(member, { serving: false, weight: 0, reason: /^443\/tcp: nothing listens/ });
  t.match(member?.ports, { '80/tcp': { serving: true, weight: 100 }, '443/tcp': { serving: false, weight: 0 } });
});

t.test('a limit or a fallback in force makes the pool unwell, and is the word on the port', async (t) => {
  const site = running(web({ rs1 }));
  const notice = 'nobody is left';
  const ports = new Map([['80/tcp', { members: new Map(), notice, directorAnswers: false }]]);
  const facts = factsFor(site, { standings: new Map([['web', { ports, realServers: new Map() }]]) });
  t.match(summaryOf(facts), {
    pools: { web: { well: false } },
    unwell: [{ pool: 'web', reason: `80/tcp: ${notice}` }],
  });
  t.match(detailOf('web', facts), { well: false, ports: { '80/tcp': { reason: notice } } });
});

t.test('what may go wrong one day is a warning, and takes nothing out of service', async (t) => {
  const site = running(web({ rs1 }));
  const agent = site.agents.get('rs1')!;
  const warnings = (more: Partial<Report>, facts: Partial<StatusFacts> = {}) => {
    const agents = new Map([['rs1', { ...agent, report: { ...agent.report, ...more } }]]);
    const detail = detailOf('web', factsFor(site, { agents, ...facts }));
    t.equal(detail?.realServers.rs1?.serving, true);
    return detail?.realServers.rs1?.observed.warnings;
  };
  t.strictSame(warnings({}), []);
  t.match(warnings({ vips: { [vip]: { present: true, suppressed: true, warnings: ['of the agent'] } } }), [
    'of the agent',
  ]);
  t.strictSame(warnings({ mtu: 1500 }), []);
  t.match(warnings({ mtu: 9000 }), [/MTU of 9000, the director's 1500/]);
  t.strictSame(warnings({ mtu: 9000 }, { mtu: undefined }), [], 'while the director’s interface is not there');
  t.strictSame(warnings({ clock: reportedAt + 2000 }), []);
  t.match(warnings({ clock: reportedAt + 5400 }), [/its clock is 5 s ahead of the director's/]);
  t.match(warnings({ clock: reportedAt - 5400 }), [/its clock is 5 s behind the director's/]);
  agent.lastReport = null;
  t.strictSame(warnings({ clock: 0 }), [], 'a report from before the start says nothing of the clock now');
});

holds(
  t,
  'summary and detail agree on who is well, in every history',
  fc.property(worldArb, historyArb, (world, history) => {
    const site = createSite({ world });
    live(site, history);
    const facts = factsFor(site);
    const { pools, counts } = summaryOf(facts);
    return (
      Object.keys(pools).length === counts.pools &&
      Object.entries(pools).every(([name, { well }]) => detailOf(name, facts)?.well === well)
    );
  }),
  50,
);

t.test(
  'the detail shows what goes through a port and a real server’s card, and no figures that are not fresh',
  async (t) => {
    const site = running(web({ rs1, rs2 }));
    const rate = { connectionsPerSecond: 5, packetsPerSecond: 50, requestsMbit: 0.1 };
    const card: CardRate = {
      interface: 'eth0',
      speedMbit: 100,
      rxMbit: 1,
      txMbit: 50,
      rxPacketsPerSecond: 100,
      txPacketsPerSecond: 4000,
      lostPerSecond: 0,
      loadPercent: 50,
      fuller: 'tx',
      ageMs: 10,
    };
    const traffic = {
      ...quiet,
      services: new Map([[`${vip}:80/tcp`, rate]]),
      cards: new Map([
        ['rs1', card],
        ['rs2', { ...card, ageMs: freshMs + 1 }],
      ]),
      connections: new Map([
        ['rs1', { [vip]: { '80/tcp': 12 } }],
        ['rs2', { [vip]: { '80/tcp': 7 } }],
      ]),
    };
    const detail = detailOf('web', factsFor(site, { traffic }));
    t.strictSame(detail?.ports['80/tcp'], { ...detail?.ports['80/tcp'], traffic: rate });
    t.strictSame(detail?.realServers.rs1?.traffic, { card, connections: { '80/tcp': 12 } });
    t.strictSame(detail?.realServers.rs2?.traffic, { card: null, connections: {} });
  },
);

t.test('summary and detail say how full a pool is', async (t) => {
  const site = running(web({ rs1, rs2 }));
  const card = { speedMbit: 100, txMbit: 30, usualMbit: 30 };
  const cards = new Map([
    ['rs1', card],
    ['rs2', card],
  ]);
  const facts = factsFor(site, { capacity: { cards, pasts: new Map() } });
  t.match(summaryOf(facts).pools.web?.capacity, { carriedMbit: 60, capacityMbit: 200, fullPercent: 30, first: 'rs1' });
  t.match(detailOf('web', facts), { balance: 'weights', capacity: { fullPercent: 30, words: /^60 of 200 Mbit/ } });
});
