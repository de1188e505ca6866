import fc from 'fast-check';
import t from 'tap';
import { poolsArb } from '../arbitraries.ts';
import { ofIpvs } from '../director/site.ts';
import { addressOn } from '../fake-kernel.ts';
import { holds } from '../property.ts';
import { fitReport, isProblem, startController, vip, webPool, whole } from './site.ts';

const key = `${vip}:80/tcp`;

t.test('an empty controller is well', async (t) => {
  const c = await startController(t);
  await c.when(() => true);
  const { status, body } = await c.call('GET', '/v1/status');
  t.equal(status, 200);
  const { sysctls, traffic, ...rest } = body;
  t.match(traffic, { realServers: {}, repliesMbit: 0, directorSharePercent: null, bottleneck: null });
  t.match(sysctls[0], { key: 'net.ipv4.vs.expire_nodest_conn', desired: '1', reason: /a client whose real server/ });
  t.strictSame(rest, {
    storedRevision: 0,
    reconciledRevision: 0,
    interface: 'eth0',
    problems: [],
    counts: { pools: 0, realServers: 0, serving: 0, services: 0, destinations: 0, draining: 0 },
    pools: {},
    unwell: [],
  });
});

t.test('the summary counts, and names whatever is not well with its reason', async (t) => {
  const c = await startController(t);
  c.attest('rs1', '192.0.2.11', [vip]);
  c.kernel.world.lan.set('192.0.2.101', '02:00:00:00:00:99');
  await c.call('PUT', '/v1/pools/web?waitMs=5000', webPool());
  await c.call('PUT', '/v1/pools/img?waitMs=200', { ...webPool(), vip: '192.0.2.101', realServers: {} });
  const { body } = await c.call('GET', '/v1/status');
  t.match(body, {
    storedRevision: 2,
    reconciledRevision: 1,
    counts: { pools: 2, realServers: 2, serving: 1, destinations: 2, draining: 0 },
    pools: {
      web: { vip, revision: 1, well: false, serving: 1, realServers: 2, missing: [] },
      img: { well: false, missing: [/02:00:00:00:00:99/] },
    },
  });
  const unwell = body.unwell.filter(({ reason }: { reason: string }) => !reason.includes('8080'));
  t.match(unwell, [
    { pool: 'web', realServer: 'rs2', reason: /no agent has reported for rs2 yet: start dsr-agent on 192\.0\.2\.12/ },
    { pool: 'img', reason: /another host on the LAN answers for 192\.0\.2\.101/ },
  ]);
});

t.test('the detail of a pool says desired, observed and actual, with the reason for each weight', async (t) => {
  const c = await startController(t);
  c.attest('rs1', '192.0.2.11', [vip], { revision: 1, problems: ['a small one'] });
  c.attest('rs2', '192.0.2.99', [vip]);
  await c.call('PUT', '/v1/pools/web?waitMs=5000', webPool());
  const inKernel = () => c.director.last()?.look.services.get(key)?.destinations[0]?.weight;
  await c.when(() => inKernel() === 100);
  const { body } = await c.call('GET', '/v1/status?pool=web');
  t.strictSame(Object.keys(body.pools), ['web']);
  t.match(body.pools.web, {
    revision: 1,
    well: false,
    missing: [],
    vip: { address: vip, desired: true, actual: true, interface: 'eth0', reason: 'on eth0' },
    ports: {
      '80/tcp': { desired: { scheduler: 'wlc' }, actual: { scheduler: 'wlc', destinations: 2 } },
      '8080/tcp': {
        desired: { policy: 'director' },
        actual: { listening: false, service: false },
        reason: /nothing listens on 192\.0\.2\.100.*start the program/,
      },
    },
    realServers: {
      rs1: {
        address: '192.0.2.11',
        weight: 100,
        serving: true,
        reason: /^in service: answered; its agent reports the VIP on lo/,
        desired: { weight: 100, state: 'active' },
        observed: {
          agent: { revision: 1, problems: ['a small one'], lastReportAgoMs: Number },
          vip: { present: true },
          probes: { '80/tcp': { verdict: 'up', words: 'answered' } },
          warnings: [],
        },
        ports: { '80/tcp': { weight: 100, serving: true } },
        actual: { '80/tcp': { weight: 100, activeConnections: 0, inactiveConnections: 0, persistentConnections: 0 } },
      },
      rs2: { weight: 0, serving: false, reason: /runs on a host without 192\.0\.2\.12 \(it has 192\.0\.2\.99\)/ },
    },
    leaving: [],
  });
});

t.test('each reason for a weight of 0 is told apart', async (t) => {
  const c = await startController(t);
  const why = async (pool: unknown) => {
    await c.call('PUT', '/v1/pools/web?waitMs=5000', pool);
    return (await c.call('GET', '/v1/status?pool=web')).body.pools.web.realServers.rs1;
  };
  const pool = webPool();
  t.match(await why(pool), { weight: 0, reason: /no agent has reported/, observed: { agent: null, vip: null } });
  c.attest('rs1', '192.0.2.11', []);
  await c.when(
    () => c.director.last()?.standings.get('web')?.realServers.get('rs1')?.reason.includes('not set up') ?? false,
  );
  t.match(await why(pool), { reason: /has not set up 192\.0\.2\.100 yet/ });
  const vips = { [vip]: { present: true, suppressed: false, problem: 'the sysctl is read-only' } };
  c.attest('rs1', '192.0.2.11', [], { vips });
  await c.when(() => c.director.last()?.standings.get('web')?.realServers.get('rs1')?.reason.includes('ARP') ?? false);
  t.match(await why(pool), { reason: /would answer ARP for 192\.0\.2\.100: the sysctl is read-only/ });
  c.attest('rs1', '192.0.2.11', [vip]);
  await c.when(() => c.director.last()?.standings.get('web')?.realServers.get('rs1')?.serving ?? false);
  const as = (more: object) => ({ ...pool, realServers: { rs1: { address: '192.0.2.11', ...more } } });
  t.match(await why(as({ weight: 0 })), { weight: 0, reason: /its weight is 0 in the pool/ });
  t.match(await why(as({ state: 'drain' })), { reason: /drain: takes no new connections/, drain: { done: false } });
  t.match(await why(as({ state: 'maintenance' })), { reason: /^maintenance: .*set state to "active"/ });
});

t.test('with manageVip false the address is watched and never taken', async (t) => {
  const c = await startController(t, { manageVip: false });
  const elsewhere = await c.call('PUT', '/v1/pools/web?waitMs=5000', webPool());
  t.match(elsewhere, { status: 201, body: { reconciled: true } });
  const vipNow = async () => (await c.call('GET', '/v1/status?pool=web')).body.pools.web.vip;
  t.match(await vipNow(), {
    desired: false,
    actual: false,
    interface: null,
    reason: /its owner \(manageVip is false\)/,
  });
  c.kernel.disturb(({ addresses }) => addresses.push(addressOn('eth1', vip, 24)));
  await c.when(() => c.director.last()?.look.addresses.some(({ address }) => address === vip) ?? false);
  t.match(await vipNow(), { desired: false, actual: true, interface: 'eth1', reason: 'on eth1' });
  t.notOk(c.kernel.applied.some(({ op }) => op.endsWith('-address')));
});

t.test('drift is repaired without anybody asking, and is an event', async (t) => {
  const c = await startController(t);
  await c.call('PUT', '/v1/pools/web?waitMs=5000', webPool());
  c.kernel.disturb(({ services }) => services.clear());
  await c.when(() => c.kernel.world.services.has(key));
  const drift = c.events.since().filter(({ type }) => type === 'drift');
  t.match(drift[0]?.message, /192\.0\.2\.100:80\/tcp had been changed by somebody else and was put right: ipvsadm -A/);
});

t.test('status takes no other parameter, and a pool only by its name', async (t) => {
  const c = await startController(t);
  isProblem(t, await c.call('GET', '/v1/status?pools=web'), 400, 'INVALID_REQUEST', 'pools');
  isProblem(t, await c.call('GET', '/v1/status?pool=Web!'), 400, 'INVALID_REQUEST', 'pool');
  isProblem(t, await c.call('GET', '/v1/status?pool=a&pool=b'), 400, 'INVALID_REQUEST', 'pool');
});

t.test('a plan is the steps with their command lines, and changes nothing', async (t) => {
  const c = await startController(t);
  await c.when(() => true);
  const { realServers, ...rest } = webPool();
  const document = { pools: { web: { ...rest, realServers: { rs1: realServers.rs1 } } } };
  const before = whole(c);
  const planned = await c.call('POST', '/v1/plan', document);
  t.equal(planned.status, 200);
  t.equal(planned.body.revision, 0);
  t.strictSame(
    planned.body.steps.map(({ host, op, command }: Record<string, string>) => [host, op, command]),
    [
      ...ofIpvs('1').map((line) => ['director', 'set-sysctl', line]),
      ['director', 'add-service', 'ipvsadm -A -t 192.0.2.100:80 -s wlc'],
      ['director', 'add-destination', 'ipvsadm -a -t 192.0.2.100:80 -r 192.0.2.11:80 -g -w 0'],
      ['director', 'add-address', 'ip addr add 192.0.2.100/32 dev eth0'],
      ['director', 'announce', 'arping -U -c 3 -I eth0 192.0.2.100'],
    ],
  );
  t.equal(whole(c), before);
  t.strictSame(c.kernel.applied, []);
  t.equal(c.kernel.world.services.size, 0);
});

t.test('a plan of what is there has no steps, and a plan of nothing takes it away', async (t) => {
  const c = await startController(t);
  await c.call('PUT', '/v1/pools/web?waitMs=5000', webPool());
  await c.when(() => c.director.last()?.settled ?? false);
  const document = (await c.call('GET', '/v1/pools')).body;
  t.strictSame((await c.call('POST', '/v1/plan', document)).body.steps, []);
  const nothing = (await c.call('POST', '/v1/plan', { pools: {} })).body.steps;
  t.strictSame(
    nothing.map(({ command }: { command: string }) => command),
    ['ipvsadm -D -t 192.0.2.100:80', 'ip addr del 192.0.2.100/32 dev eth0', ...ofIpvs('0')],
  );
  t.equal(c.kernel.world.services.size, 1);
});

t.test('a plan is refused as a write would be', async (t) => {
  const c = await startController(t);
  const twice = { pools: { a: webPool(), b: webPool() } };
  isProblem(t, await c.call('POST', '/v1/plan', twice), 409, 'CONFLICT', 'pools.b.ports.80/tcp');
  isProblem(t, await c.call('POST', '/v1/plan', { web: webPool() }), 400, 'INVALID_REQUEST', 'pools');
  const weight = { pools: { web: { ...webPool(), realServers: { rs1: { address: '192.0.2.11', weight: 'much' } } } } };
  isProblem(t, await c.call('POST', '/v1/plan', weight), 400, 'INVALID_REQUEST', 'pools.web.realServers.rs1.weight');
});

t.test('for any pools', async (t) => {
  const c = await startController(t);
  holds(
    t,
    'the steps of a plan are what the write then takes, and status can tell all of it',
    fc.asyncProperty(poolsArb, async (pools) => {
      await c.call('DELETE', '/v1/pools?waitMs=5000');
      const before = c.kernel.applied.length;
      const planned = await c.call('POST', '/v1/plan', { pools });
      if (planned.status !== 200 || c.kernel.applied.length !== before) return false;
      await c.call('PUT', '/v1/pools?waitMs=5000', { pools });
      const taken = c.kernel.applied.slice(before);
      const steps = planned.body.steps.map(({ host: _, command: __, ...step }: Record<string, unknown>) => step);
      if (JSON.stringify(steps) !== JSON.stringify(taken)) throw new Error(JSON.stringify([steps, taken]));
      const summary = (await c.call('GET', '/v1/status')).body;
      for (const name of Object.keys(pools)) {
        const detail = (await c.call('GET', `/v1/status?pool=${name}`)).body.pools[name];
        if (detail.well !== summary.pools[name].well) return false;
      }
      return (
        summary.counts.pools === Object.keys(pools).length && summary.reconciledRevision === summary.storedRevision
      );
    }),
    30,
  );
});

const card = (at: number, txBytes: number) => ({
  interface: 'eth0',
  mac: '02:00:00:00:00:11',
  speedMbit: 100,
  rxBytes: 0,
  txBytes,
  rxPackets: 0,
  txPackets: 0,
  rxLost: 0,
  txLost: 0,
  at,
});

t.test('what agents report of their cards is in the summary and in the detail', async (t) => {
  const c = await startController(t);
  await c.call('PUT', '/v1/pools/web?waitMs=5000', webPool());
  for (const [at, txBytes] of [[0, 0], [1000, 6_250_000]] as const) // biome-ignore format: short
    await c.call('POST', '/v1/agents/rs1/report', {
      ...fitReport('rs1', '192.0.2.11', [vip]),
      card: card(at, txBytes),
      connections: { [vip]: { '80/tcp': 9 } },
    });
  const { body } = await c.call('GET', '/v1/status');
  t.match(body.traffic, {
    realServers: { rs1: { txMbit: 50, loadPercent: 50, speedMbit: 100 } },
    repliesMbit: 50,
    bottleneck: { host: 'rs1', direction: 'tx', loadPercent: 50, full: false },
  });
  const detail = (await c.call('GET', '/v1/status?pool=web')).body.pools.web;
  t.match(detail.realServers.rs1.traffic, { card: { txMbit: 50 }, connections: { '80/tcp': 9 } });
  t.strictSame(detail.realServers.rs2.traffic, { card: null, connections: {} });
  t.equal(Object.hasOwn((await c.call('GET', '/v1/agents')).body.agents.rs1, 'card'), false, 'counters are no report');
});

t.test(
  'the stream tells the whole status each second, with the pool that is asked for, until the server closes',
  async (t) => {
    const c = await startController(t);
    await c.call('PUT', '/v1/pools/web?waitMs=5000', webPool());
    const base = await c.listen();
    const response = await fetch(`${base}/v1/status/stream?pool=web`);
    t.equal(response.headers.get('content-type'), 'text/event-stream');
    const told: {
      at: string;
      storedRevision: number;
      traffic: object;
      pools: object;
      detail?: { revision: number };
    }[] = [];
    let text = '';
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      text += Buffer.from(chunk).toString();
      const parts = text.split('\n\n');
      text = parts.pop() ?? '';
      for (const part of parts) if (part.startsWith('event: status\ndata: ')) told.push(JSON.parse(part.slice(20)));
      if (told.length === 1) await c.call('DELETE', '/v1/pools/web?waitMs=5000');
      if (told.length >= 3) break;
    }
    t.match(told[0], {
      storedRevision: 1,
      pools: { web: { vip } },
      traffic: { repliesMbit: 0 },
      detail: { revision: 1 },
    });
    t.equal(told.at(-1)?.detail, undefined, 'a pool that is gone');
    t.strictSame(told.at(-1)?.pools, {});
    t.ok(told[2]!.at > told[0]!.at);
  },
);
