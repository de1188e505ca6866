import fc from 'fast-check';
import t from 'tap';
import { type AttestationRules, agentDesired, attestationOf } from '../../src/core/agents.ts';
import { balancedPorts } from '../../src/core/pools.ts';
import { type Drain, poolsOf } from '../../src/core/state.ts';
import { type Pools, poolsSchema, type Report, reportSchema } from '../../src/schema.ts';
import { poolsArb, realServerNames } from '../arbitraries.ts';
import { holds } from '../property.ts';
import { historyArb, live } from './history.ts';
import { createSite, pass, prepare, put, reconcile } from './site.ts';

const vip = '192.0.2.100';
const port = '80/tcp';
const question = { name: 'rs1', address: '192.0.2.11', vip, port };
const required: AttestationRules = { mode: 'required', agentTimeoutMs: 5000, now: 10_000 };
const reported = (more: Partial<Report> = {}): Report =>
  reportSchema.parse({
    protocol: 1,
    machineId: 'm',
    bootId: 'b',
    revision: 1,
    addresses: ['192.0.2.11'],
    vips: { [vip]: { present: true, suppressed: true } },
    ...more,
  });
/** What is made of this report, which came a second ago. */
const said = (more: Partial<Report>, lastReport: number | null = 9000, rules: Partial<AttestationRules> = {}) =>
  attestationOf(question, new Map([['rs1', { report: reported(more), lastReport }]]), { ...required, ...rules });
/** One VIP as an agent tells of it. */
const place = (more: object) => ({ vips: { [vip]: { present: true, suppressed: true, ...more } } }) as Partial<Report>;

t.test('a real server is fit when its host has the address, the VIP on lo and ARP suppressed', async (t) => {
  t.match(said({}), { verdict: 'fit', silent: false, reason: /VIP on lo and ARP suppressed/ });
});

t.test('a real server without an agent was never attested, and the reason says what to start where', async (t) => {
  t.match(attestationOf(question, new Map(), required), {
    verdict: 'never',
    silent: true,
    reason: 'no agent has reported for rs1 yet: start dsr-agent on 192.0.2.11 with the name "rs1"',
  });
});

t.test('each thing that is missing makes a real server unfit, with the agent’s own words', async (t) => {
  const problem = 'lo is read-only';
  for (const [report, reason] of [
    [{ addresses: [] }, /runs on a host without 192\.0\.2\.11 \(it has none\)/],
    [{ addresses: ['192.0.2.12', '10.0.0.1'] }, /\(it has 192\.0\.2\.12, 10\.0\.0\.1\): correct the address/],
    [{ vips: {} }, /has not set up 192\.0\.2\.100 yet$/],
    [{ vips: {}, problems: [problem] }, /has not set up 192\.0\.2\.100 yet: lo is read-only$/],
    [place({ present: false }), /VIP 192\.0\.2\.100 is not on lo of rs1$/],
    [place({ present: false, problem }), /is not on lo of rs1: lo is read-only$/],
    [place({ suppressed: false }), /rs1 would answer ARP for 192\.0\.2\.100$/],
    [place({ suppressed: false, problem }), /answer ARP for 192\.0\.2\.100: lo is read-only$/],
    [place({ unreachable: 'rp_filter=1' }), /rs1 would drop what clients send to 192\.0\.2\.100: rp_filter=1$/],
    [
      place({ listening: { [port]: 'own-address-only' } }),
      /listens on 192\.0\.2\.11:80 only, and nothing on 192\.0\.2\.100:80: let it listen on the VIP too/,
    ],
    [place({ listening: { [port]: 'nothing' } }), /nothing listens on 192\.0\.2\.100:80\/tcp of rs1: start the server/],
  ] as [Partial<Report>, RegExp][])
    t.match(said(report), { verdict: 'unfit', silent: false, reason });
});

t.test('what listens on one port says nothing of another', async (t) => {
  t.equal(said(place({ listening: { [port]: 'vip', '443/tcp': 'nothing' } })).verdict, 'fit');
});

t.test('what may go wrong one day, and a problem beside a VIP that is in place, leave a real server fit', async (t) => {
  t.equal(said(place({ warnings: ['replies may come from another address'], problem: 'EROFS' })).verdict, 'fit');
});

t.test('a host that is about to shut down is leaving, whatever else it says', async (t) => {
  t.match(said({ leaving: true, addresses: [] }), {
    verdict: 'leaving',
    silent: false,
    reason: /rs1 is shutting down/,
  });
});

t.test('after the time limit an agent is silent, and its word is its last', async (t) => {
  const { agentTimeoutMs, now } = required;
  t.equal(said({}, now - agentTimeoutMs).silent, false);
  const reason = /^the agent on rs1 is silent: .* its last word: its agent reports the VIP on lo/;
  t.match(said({}, now - agentTimeoutMs - 1), { verdict: 'fit', silent: true, reason });
  t.match(said({}, null), { verdict: 'fit', silent: true }, 'as one that has not spoken since the start');
  t.match(said({ vips: {} }, null), { verdict: 'unfit', silent: true, reason: /has not set up/ });
  t.match(said({ leaving: true }, null), { verdict: 'leaving', silent: true });
  t.match(said({}, now + 60_000), { silent: false }, 'also when the clock went back');
});

t.test('where attestation is optional, only an agent that speaks is asked', async (t) => {
  const mode = 'optional';
  const none = attestationOf(question, new Map(), { ...required, mode });
  t.strictSame(none, { verdict: 'unasked', silent: false, reason: 'no agent is asked of it' });
  t.match(said({ vips: {} }, null, { mode }), {
    verdict: 'unasked',
    silent: false,
    reason: /silent, and none is asked/,
  });
  t.match(said({ vips: {} }, 9000, { mode }), { verdict: 'unfit', silent: false });
});

/** What an agent is to have of these pools. */
const desiredOf = (name: string, of: Pools, drains: Drain[] = []) =>
  agentDesired(name, { revision: 7, probers: ['169.254.1.1'], drains, purges: {} }, of);

t.test('an agent of a port with the engine "edge" has its rules, and what of its cache counts no more', async (t) => {
  const rules = [{ match: { extensions: ['jpg'] }, to: 'real-servers' as const }];
  const port = (more: object) => ({ policy: 'url', rules, ...more });
  const ports = {
    '80/tcp': port({ edge: { origin: '192.0.2.10:8080' } }),
    '81/tcp': port({ engine: 'handoff' }),
    '82/tcp': { policy: 'real-servers' },
  };
  const web = { vip, ports, realServers: { rs1: { address: '192.0.2.11' } } };
  const of = poolsSchema.parse({ web, constructor: { ...web, vip: '192.0.2.99' } });
  const paths = [{ path: '/a', generation: 5 }];
  const state = { revision: 7, probers: [], drains: [], purges: { web: { generation: 3, paths } } };
  const edge = { rules, otherwise: 'director', origin: '192.0.2.10:8080', cacheMb: 1024, tls: false };
  t.strictSame(
    agentDesired('rs1', state, of).vips.map((one) => one.edge),
    [{ '80/tcp': { ...edge, generation: 3, purged: paths } }, { '80/tcp': { ...edge, generation: 0, purged: [] } }],
  );
  const drain: Drain = {
    ...{ pool: 'web', realServer: 'rs9', vip, address: '192.0.2.19', ports: ['80/tcp'] },
    ...{ deadline: 1, drainMs: 1, done: false },
  };
  const leaving = (drains: Drain[]) =>
    agentDesired('rs9', { ...state, drains }, of).vips.map((one) => Object.keys(one.edge ?? {}));
  t.strictSame(leaving([drain]), [['80/tcp']], 'who leaves a pool answers by its rules to the end');
  t.strictSame(leaving([{ ...drain, pool: 'gone' }]), [[]]);
  t.strictSame(leaving([{ ...drain, vip: '192.0.2.55' }]), [[]]);
});

t.test('a real server whose web server does not answer by the rules is unfit, with the reason', async (t) => {
  const report = (edge: { serving: boolean; problem: string }) => ({
    vips: { [vip]: { present: true, suppressed: true, edge: { '80/tcp': edge } } },
  });
  t.match(said(report({ serving: false, problem: 'nobody answers' }), 0), {
    verdict: 'unfit',
    reason: 'on rs1 no web server answers by the rules of 80/tcp: nobody answers',
  });
  t.match(said(report({ serving: true, problem: 'older' }), 0), { verdict: 'fit' });
});

const pools = (more: object) =>
  poolsSchema.parse({
    web: {
      vip,
      ports: {
        '443/tcp': { policy: 'real-servers' },
        '80/tcp': { policy: 'real-servers' },
        '8080/tcp': { policy: 'director' },
      },
      realServers: { rs1: { address: '192.0.2.11' } },
    },
    ...more,
  });

t.test('an agent is to have the VIPs of the pools that name it, each once, with all balanced ports', async (t) => {
  const more = {
    dns: { vip, ports: { '53/udp': { policy: 'real-servers' } }, realServers: { rs1: { address: '192.0.2.11' } } },
    six: {
      vip: '2001:db8::100',
      ports: { '80/tcp': { policy: 'real-servers' } },
      realServers: { rs1: { address: '2001:db8::11' } },
    },
    low: {
      vip: '192.0.2.10',
      ports: { '80/tcp': { policy: 'real-servers' } },
      realServers: { rs1: { address: '192.0.2.11' } },
    },
    php: {
      vip: '192.0.2.99',
      ports: { '80/tcp': { policy: 'director' } },
      realServers: { rs1: { address: '192.0.2.11' } },
    },
  };
  t.strictSame(desiredOf('rs1', pools(more)), {
    revision: 7,
    vips: [
      { vip: '192.0.2.10', address: '192.0.2.11', ports: ['80/tcp'] },
      { vip, address: '192.0.2.11', ports: ['443/tcp', '53/udp', '80/tcp'] },
      { vip: '2001:db8::100', address: '2001:db8::11', ports: ['80/tcp'] },
    ],
    probers: ['169.254.1.1'],
  });
  for (const name of ['rs2', 'constructor']) t.strictSame(desiredOf(name, pools(more)).vips, [], name);
});

t.test(
  'an agent that left a pool is to keep the VIP while the director drains it, and no VIP for no port',
  async (t) => {
    const drain = { pool: 'web', realServer: 'rs9', vip, address: '192.0.2.19', deadline: 0, drainMs: 0, done: true };
    const of = (name: string, ports: string[]) => desiredOf(name, pools({}), [{ ...drain, ports }]).vips;
    t.strictSame(of('rs9', ['80/tcp']), [{ vip, address: '192.0.2.19', ports: ['80/tcp'] }]);
    t.strictSame(of('rs8', ['80/tcp']), []);
    t.strictSame(of('rs9', []), []);
  },
);

holds(
  t,
  'whoever the director forwards to is to have the VIP, whatever was put and wherever the last pass was cut',
  fc.property(historyArb, fc.nat(9), (chapters, cutAfter) => {
    const history = chapters.map((c, i) => ({ ...c, cutAfter: i + 1 < chapters.length ? Infinity : cutAfter }));
    const site = createSite();
    const owners = new Map<string, string>();
    let fine = true;
    live(site, history, ({ world, state }) => {
      for (const { vip, realServers } of Object.values(poolsOf(state)))
        for (const [name, { address }] of Object.entries(realServers)) owners.set(`${vip} ${address}`, name);
      const idle = (name: string, vip: string) =>
        // A pool that balances nothing any more is rid of its services in the next pass.
        Object.values(poolsOf(state)).some((p) => p.vip === vip && p.realServers[name] && !balancedPorts(p).length);
      for (const { id, destinations } of world.services.values())
        for (const { address } of destinations) {
          const name = owners.get(`${id.vip} ${address}`)!;
          const { vips } = agentDesired(name, state, poolsOf(state));
          fine &&= vips.some((v) => v.vip === id.vip) || idle(name, id.vip);
        }
    });
    return fine;
  }),
);

holds(
  t,
  'once the director is rid of a real server that left, its agent is to have no VIP but those of its pools',
  fc.property(historyArb, poolsArb, (history, last) => {
    const site = createSite();
    live(site, history);
    put(site, last);
    reconcile(site);
    for (const ms of [0, 60_000, 0, 0]) {
      pass(site, ms);
      reconcile(site);
    }
    return (
      prepare(site).steps.length === 0 &&
      realServerNames.every((name) => {
        const { vips } = desiredOf(name, last, site.state.drains);
        return JSON.stringify(vips) === JSON.stringify(desiredOf(name, last).vips);
      })
    );
  }),
);
