import t from 'tap';
import type { AgentRecord } from '../../src/core/agents.ts';
import type { Finding as ProbeFinding } from '../../src/core/health.ts';
import type { Services } from '../../src/core/kernel-state.ts';
import { targetKey, targetOf } from '../../src/core/targets.ts';
import { type DoctorOptions, examine, examineDirector, type Patient } from '../../src/director/doctor.ts';
import { KernelError } from '../../src/kernel/errors.ts';
import { checkOf, poolsSchema, type Report, reportSchema } from '../../src/schema.ts';
import { addressOn, createFakeKernel } from '../fake-kernel.ts';
import { down, refused, up } from '../health.ts';

const vip = '192.0.2.100';
const now = 1_000_000;
const pools = poolsSchema.parse({
  web: {
    vip,
    ports: { '80/tcp': { policy: 'real-servers' }, '8080/tcp': { policy: 'director' } },
    realServers: { rs1: { address: '192.0.2.11' }, rs2: { address: '192.0.2.12' }, self: { address: '192.0.2.1' } },
  },
  dns: {
    vip: '192.0.2.101',
    ports: { '53/udp': { policy: 'real-servers' } },
    realServers: { rs1: { address: '192.0.2.11' } },
  },
});

/** A LAN where rs1 and rs2 are. */
function onLan() {
  const kernel = createFakeKernel();
  kernel.world.lan.set('192.0.2.11', '02:00:00:00:00:11').set('192.0.2.12', '02:00:00:00:00:12');
  const lan = { destination: '192.0.2.0', prefix: 24, interface: 'eth0', gateway: false };
  kernel.routes = () => [{ ...lan, destination: '0.0.0.0', prefix: 0, gateway: true }, lan];
  return kernel;
}

const recordOf = (more: Partial<Report> = {}, lastReport: number | null = now): AgentRecord => {
  const { doctor, ...report } = reportSchema.parse({
    ...{ protocol: 1, machineId: 'm', bootId: 'b', revision: 1, addresses: ['192.0.2.11'], mtu: 1500, clock: now },
    vips: { [vip]: { present: true, suppressed: true } },
    doctor: { gateways: ['192.0.2.254'], findings: [{ check: 'arp', level: 'ok', what: 'is', why: 'so', fix: [] }] },
    ...more,
  });
  return { report, lastReport, doctor };
};

const healthOf = (health: ProbeFinding['health'], address = '192.0.2.11'): [string, ProbeFinding] => {
  const port = pools.web?.ports['80/tcp'];
  if (!pools.web || port?.policy !== 'real-servers') throw new Error('no such port');
  const check = checkOf(pools.web, '80/tcp', port);
  if (!check) throw new Error('no check');
  const key = targetKey(targetOf(vip, address, '80/tcp', check));
  return [key, { key, health, at: 0 }];
};

const look = async (
  more: Partial<Patient> = {},
  kernel = onLan(),
  connect: DoctorOptions['connect'] = async () => undefined,
) => {
  const findings = await examine(
    { kernel, interface: 'eth0', connect },
    { pools, services: new Map(), agents: new Map(), findings: new Map(), now, ...more },
  );
  return (host: string, check: string) => findings.filter((one) => one.host === host && one.check === check);
};

t.test('a healthy site has no problem, and what the agents found is told under their names', async (t) => {
  const agents = new Map([['rs1', recordOf()], ['rs2', recordOf()]]); // biome-ignore format: a table
  const findings = new Map([healthOf(up), healthOf(up, '192.0.2.12')]);
  const of = await look({ agents, findings });
  for (const [
    host,
    check,
  ] of [['director', 'ip-vs'], ['director', 'firewall'], ['director', 'network-manager'], ['director', 'lro'], ['director', 'conntrack'], ['director', 'connection-table'], ['director', 'open-ports'], ['rs1', 'adjacency'], ['rs1', 'mtu'], ['rs1', 'clock'], ['rs1', 'default-route'], ['rs1', 'vip-source'], ['rs1', 'agent'], ['rs1', 'arp'], ['rs2', 'arp']] as const) // biome-ignore format: a table
    t.match(of(host, check), [{ level: 'ok' }], `${host} ${check}`);
  t.equal(of('rs1', 'adjacency').length, 1, 'a host in two pools is looked at once');
  t.strictSame(of('self', 'adjacency'), [], 'and the director is no neighbor of its own');
});

t.test('without agents and probes little is known, and nothing is a problem', async (t) => {
  const of = await look();
  for (const check of ['clock', 'default-route', 'vip-source'])
    t.match(of('rs1', check), [{ level: 'unknown' }], check);
  t.match(of('rs1', 'mtu'), [{ level: 'ok' }], 'the LAN itself was asked');
});

t.test('words of an agent that is silent are no news', async (t) => {
  for (const lastReport of [now - 31_000, null]) {
    const of = await look({ agents: new Map([['rs1', recordOf({}, lastReport)]]) });
    t.match(of('rs1', 'agent'), [{ level: 'warning' }]);
    t.strictSame(of('rs1', 'arp'), []);
  }
});

t.test('a real server behind a gateway, one that is not there, and one that full frames do not reach', async (t) => {
  const kernel = onLan();
  const { whoClaims } = kernel;
  const asked: (readonly string[])[] = [];
  kernel.whoClaims = async (addresses, name, full) => {
    asked.push(addresses);
    return (await whoClaims(addresses, name)).filter(({ address }) => !full || address !== '192.0.2.11');
  };
  const members = { rs1: { address: '192.0.2.11' }, far: { address: '198.51.100.7' }, gone: { address: '192.0.2.99' } };
  const of = await look(
    {
      pools: poolsSchema.parse({ web: { vip, ports: { '80/tcp': { policy: 'real-servers' } }, realServers: members } }),
    },
    kernel,
  );
  t.match(of('far', 'adjacency'), [{ level: 'problem', what: /by a gateway/ }]);
  t.match(of('far', 'mtu'), [{ level: 'unknown' }]);
  t.match(of('gone', 'adjacency'), [{ level: 'problem', what: /does not answer/ }]);
  t.match(of('rs1', 'mtu'), [{ level: 'problem', what: /^frames of 1500 bytes/ }]);
  t.strictSame(asked, [['192.0.2.11', '192.0.2.99'], ['192.0.2.11', '192.0.2.99']]); // biome-ignore format: a table
});

t.test('a LAN that cannot be asked is a finding of its own, and all else is still told', async (t) => {
  const kernel = onLan();
  kernel.whoClaims = async () => {
    throw new KernelError('ENETDOWN', 'eth0 is down');
  };
  const of = await look({ agents: new Map([['rs1', recordOf()]]) }, kernel);
  t.match(of('director', 'adjacency'), [{ level: 'problem', what: /eth0 is down/ }]);
  t.strictSame(of('rs1', 'adjacency'), []);
  t.match(of('rs1', 'clock'), [{ level: 'ok' }]);
});

t.test('clock, MTU and default route are as the agent reports them', async (t) => {
  const doctor = { gateways: ['192.0.2.1'], findings: [] };
  const of = await look({ agents: new Map([['rs1', recordOf({ clock: now - 3000, mtu: 1400, doctor })]]) });
  t.match(of('rs1', 'clock'), [{ level: 'warning', what: /3\.0 s behind/ }]);
  t.match(of('rs1', 'mtu'), [{ level: 'warning', what: /MTU of 1400/ }]);
  t.match(of('rs1', 'default-route'), [{ level: 'problem', what: /through the director \(192\.0\.2\.1\)/ }]);
});

t.test('where shares follow the cards, a card that does not tell its speed is a finding', async (t) => {
  const agents = new Map([['rs1', { ...recordOf(), speedMbit: 100 }], ['rs2', recordOf()]]); // biome-ignore format: a table
  const followed = { ...pools, web: { ...pools.web!, balance: 'headroom' as const } };
  const of = await look({ agents, pools: followed });
  t.match(of('rs1', 'card-speed'), [{ level: 'ok' }]);
  t.match(of('rs2', 'card-speed'), [{ level: 'warning' }]);
  t.strictSame((await look({ agents }))('rs2', 'card-speed'), []);
});

t.test('silent probes of a fit real server: its own address is tried, once, and only then', async (t) => {
  const agents = new Map([['rs1', recordOf()]]);
  for (const [error, level] of [
    [undefined, 'problem'],
    ['ECONNREFUSED', 'warning'],
    ['ETIMEDOUT', 'unknown'],
  ] as const) {
    const tried: unknown[] = [];
    const of = await look({ agents, findings: new Map([healthOf(down)]) }, onLan(), async (...target) => {
      tried.push(target);
      return error;
    });
    t.match(of('rs1', 'vip-source'), [{ level }]);
    t.strictSame(tried, [['192.0.2.11', 80, 1000]]);
  }
  const never = () => t.fail('nothing is to be tried') as never;
  const of = await look({ agents, findings: new Map([healthOf(refused)]) }, onLan(), never);
  t.match(of('rs1', 'vip-source'), [{ level: 'unknown', what: /another reason/ }]);
});

t.test('the director: schedulers in use are there, others must be among the modules', async (t) => {
  const kernel = onLan();
  kernel.vitals.modules = () => new Set(['ip_vs', 'ip_vs_sh', 'nf_conntrack']);
  const ipvs = async (services: Services) =>
    (await examineDirector({ kernel, interface: 'eth0' }, { pools, services })).find(({ check }) => check === 'ip-vs');
  t.match(await ipvs(new Map()), { level: 'problem', what: 'this kernel has no scheduler wlc' });
  const id = { vip, port: 80, protocol: 'tcp' as const };
  const config = {
    scheduler: 'wlc',
    schedulerBits: [],
    persistenceSeconds: 0,
    persistencePrefix: 32,
    onePacket: false,
  };
  const connections = { active: 10_000, inactive: 10_000, persistent: 0 };
  const destination = { address: '192.0.2.11', port: 80, method: 'gatewaying' as const, weight: 1, upperThreshold: 0, lowerThreshold: 0, connections }; // biome-ignore format: one line
  const services: Services = new Map([['x', { id, config, destinations: [destination] }]]);
  t.match(await ipvs(services), { level: 'ok' });
  const findings = await examineDirector({ kernel, interface: 'eth0' }, { pools, services });
  t.match(
    findings.find(({ check }) => check === 'connection-table'),
    { level: 'warning', what: /and 20000 connections/ },
  );
});

t.test('the director: what its kernel tells comes to findings', async (t) => {
  const kernel = onLan();
  Object.assign(kernel.vitals, {
    firewall: async () => ({ unknown: 'no nft' }),
    managers: (name: string) => [{ name: 'NetworkManager', interface: name, keeps: false }],
    connectionTableBits: () => undefined,
    offload: () => undefined,
    conntrack: () => ({ count: 9, max: 10 }),
  });
  kernel.world.sysctls.set('net.ipv4.vs.drop_entry', '0').set('net.ipv4.neigh.default.gc_thresh3', '100');
  const findings = await examineDirector({ kernel, interface: 'eth0' }, { pools, services: new Map() });
  t.strictSame(
    findings.map(({ check, level }) => `${check} ${level}`),
    [
      'ip-vs ok',
      'hash-scheduler ok',
      'firewall unknown',
      'network-manager warning',
      'lro unknown',
      'conntrack warning',
      'connection-table unknown',
      'syn-flood warning',
      'neighbor-table problem',
      'open-ports ok',
    ],
  );
  kernel.vitals.offload = (name) => ({ lro: name === 'eth0', gro: true });
  const again = await examineDirector({ kernel, interface: 'eth0' }, { pools, services: new Map() });
  t.match(
    again.find(({ check }) => check === 'lro'),
    { level: 'problem', what: 'LRO is on on eth0' },
  );
});

t.test('open ports are those of VIPs that this host holds and that no pool names', async (t) => {
  const kernel = onLan();
  kernel.listeners = (_, protocol) =>
    new Map(protocol === 'tcp' ? [[8080, 'wildcard'], [443, 'address'], [22, 'wildcard'], [80, 'wildcard']] : [[53, 'wildcard']]); // biome-ignore format: a table
  const ports = async () => (await look({}, kernel))('director', 'open-ports');
  t.match(await ports(), [{ level: 'ok' }]);
  kernel.world.addresses.push(addressOn('eth0', vip, 32), addressOn('eth0', '192.0.2.101', 32));
  t.match(await ports(), [{ level: 'warning', what: /: 192\.0\.2\.100:22\/tcp, 192\.0\.2\.100:443\/tcp, 192\.0\.2\.100:53\/udp, 192\.0\.2\.101:22\/tcp, 192\.0\.2\.101:80\/tcp/ }]); // biome-ignore format: one line
});
