import fc from 'fast-check';
import t from 'tap';
import { agentDesired, attestationOf } from '../../src/core/agents.ts';
import { balancedPorts } from '../../src/core/pools.ts';
import { poolsOf } from '../../src/core/state.ts';
import { poolsSchema, type Report, reportSchema } from '../../src/schema.ts';
import { poolsArb, realServerNames } from '../arbitraries.ts';
import { holds } from '../property.ts';
import { historyArb, live } from './history.ts';
import { createSite, pass, prepare, put, reconcile } from './site.ts';

const vip = '192.0.2.100';
const said = (more: Partial<Report>) => {
  const report = reportSchema.parse({
    protocol: 1,
    machineId: 'm',
    bootId: 'b',
    revision: 1,
    addresses: ['192.0.2.11'],
    vips: { [vip]: { present: true, suppressed: true } },
    ...more,
  });
  return attestationOf('rs1', '192.0.2.11', vip, new Map([['rs1', { report, lastReport: 1 }]]));
};

t.test('a real server is fit when its host has the address, the VIP on lo and ARP suppressed', async (t) => {
  t.match(said({}), { verdict: 'fit', reason: /VIP on lo and ARP suppressed/ });
});

t.test('a real server without an agent is unknown, and the reason says what to start where', async (t) => {
  t.match(attestationOf('rs1', '192.0.2.11', vip, new Map()), {
    verdict: 'unknown',
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
    [{ vips: { [vip]: { present: false, suppressed: true } } }, /VIP 192\.0\.2\.100 is not on lo of rs1$/],
    [{ vips: { [vip]: { present: false, suppressed: true, problem } } }, /is not on lo of rs1: lo is read-only$/],
    [{ vips: { [vip]: { present: true, suppressed: false } } }, /rs1 would answer ARP for 192\.0\.2\.100$/],
    [
      { vips: { [vip]: { present: true, suppressed: false, problem } } },
      /answer ARP for 192\.0\.2\.100: lo is read-only$/,
    ],
  ] as [Partial<Report>, RegExp][])
    t.match(said(report), { verdict: 'unfit', reason });
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
  t.strictSame(agentDesired('rs1', 7, pools(more), []), {
    revision: 7,
    vips: [
      { vip: '192.0.2.10', address: '192.0.2.11', ports: ['80/tcp'] },
      { vip, address: '192.0.2.11', ports: ['443/tcp', '53/udp', '80/tcp'] },
      { vip: '2001:db8::100', address: '2001:db8::11', ports: ['80/tcp'] },
    ],
  });
  for (const name of ['rs2', 'constructor']) t.strictSame(agentDesired(name, 7, pools(more), []).vips, [], name);
});

t.test(
  'an agent that left a pool is to keep the VIP while the director drains it, and no VIP for no port',
  async (t) => {
    const drain = { pool: 'web', realServer: 'rs9', vip, address: '192.0.2.19', deadline: 0, drainMs: 0, done: true };
    const of = (name: string, ports: string[]) => agentDesired(name, 7, pools({}), [{ ...drain, ports }]).vips;
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
          const { vips } = agentDesired(name, 1, poolsOf(state), state.drains);
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
        const { vips } = agentDesired(name, 1, last, site.state.drains);
        return JSON.stringify(vips) === JSON.stringify(agentDesired(name, 1, last, []).vips);
      })
    );
  }),
);
