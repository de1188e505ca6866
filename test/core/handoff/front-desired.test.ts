import t from 'tap';
import { frontPorts, handedPorts } from '../../../src/core/handoff/front-desired.ts';
import { serviceKey } from '../../../src/core/kernel-state.ts';
import { standingsOf } from '../../../src/core/standings.ts';
import { frontDesiredSchema } from '../../../src/handoff-schema.ts';
import { poolsSchema } from '../../../src/schema.ts';
import { fitAgents } from '../../arbitraries.ts';
import { createSite, desiredOf, factsOf, pass, put, reconcile } from '../site.ts';

const rules = [{ match: { extensions: ['jpg'] }, to: 'real-servers' }];
const handoff = { policy: 'url', engine: 'handoff', rules, handoff: { keepAlive: 'hand-back' } };
const redirect = { policy: 'url', engine: 'redirect', rules, redirect: { hosts: { rs1: 'img1.example.com' } } };
const realServers = { rs1: { address: '192.0.2.11', weight: 7 }, rs2: { address: '192.0.2.12', state: 'maintenance' } };
const pools = poolsSchema.parse({
  web: {
    vip: '192.0.2.100',
    ports: {
      '80/tcp': handoff,
      '81/tcp': redirect,
      '82/tcp': { policy: 'real-servers' },
      '83/tcp': { policy: 'director' },
    },
    realServers,
  },
  other: { vip: '192.0.2.101', ports: { '80/tcp': handoff }, realServers: { rs3: { address: '192.0.2.13' } } },
});
const made = () => {
  const site = createSite({ agents: fitAgents(pools) });
  put(site, pools);
  return site;
};

t.test('the front serves the ports of its two engines, with the weights of now', async (t) => {
  const facts = factsOf(made());
  const standings = standingsOf(facts.pools, facts.drains, facts);
  const ports = frontPorts(pools, standings, new Set(['192.0.2.13']));
  t.same(
    ports.map(({ pool, vip, port, policy }) => [pool, vip, port, policy.engine]),
    [
      ['web', '192.0.2.100', 80, 'handoff'],
      ['web', '192.0.2.100', 81, 'redirect'],
      ['other', '192.0.2.101', 80, 'handoff'],
    ],
  );
  t.same(ports[0]?.servers, [
    { name: 'rs1', address: '192.0.2.11', weight: 7, isDirector: false },
    { name: 'rs2', address: '192.0.2.12', weight: 0, isDirector: false },
  ]);
  t.equal(ports[2]?.servers[0]?.isDirector, true);
  t.same(frontDesiredSchema.parse(JSON.parse(JSON.stringify({ version: 'v', ports, keys: {} }))).ports, ports);
  t.same(
    frontPorts(pools, new Map(), new Set())[0]?.servers.map(({ weight }) => weight),
    [0, 0],
    'who is not known has no weight',
  );
});

t.test('an agent is told of the ports whose connections it may be given, and of no others', async (t) => {
  const ports = (name: string) => handedPorts(name, pools).map(({ vip, port }) => `${vip} ${port}`);
  t.same(ports('rs1'), ['192.0.2.100 80']);
  t.same(ports('rs3'), ['192.0.2.101 80']);
  t.same(ports('rs4'), []);
  t.same(handedPorts('rs1', pools)[0]?.policy.rules, pools.web?.ports['80/tcp']?.policy === 'url' && rules);
});

t.test('new connections of a port that is handed over come to the director, entries go to real servers', async (t) => {
  const site = made();
  const desired = desiredOf(factsOf(site));
  const service = desired.services.get(serviceKey({ vip: '192.0.2.100', port: 80, protocol: 'tcp' }));
  t.same(
    service?.destinations.map(({ address, weight, port, method }) => [address, weight, port, method]),
    [
      ['192.0.2.100', 1, 80, 'gatewaying'],
      ['192.0.2.11', 0, 80, 'gatewaying'],
    ],
  );
  t.ok(desired.localPorts.has('192.0.2.100:81/tcp'), 'a port that redirects has no service');
  reconcile(site);
  t.same(reconcile(site).steps, [], 'and that is all');
});

t.test('a real server that is drained leaves when its connections have ended', async (t) => {
  const site = made();
  reconcile(site);
  const to = (address: string) =>
    site.world.services.get('192.0.2.100:80/tcp')?.destinations.find((one) => one.address === address);
  to('192.0.2.11')!.connections.active = 1;
  const { rs1, ...others } = pools.web!.realServers;
  put(site, { ...pools, web: { ...pools.web!, realServers: { ...others, rs1: { ...rs1!, state: 'drain' } } } });
  pass(site, 1000);
  reconcile(site);
  t.ok(to('192.0.2.11'), 'it stays while there is one');
  to('192.0.2.11')!.connections.active = 0;
  for (let i = 0; i < 20; i++) {
    pass(site, 1000);
    reconcile(site);
  }
  t.notOk(to('192.0.2.11'));
  t.ok(to('192.0.2.100'));
});
