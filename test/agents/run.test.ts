import { renameSync, rmSync, writeFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { connectController } from '../../agents/controller-client.ts';
import { openMemory } from '../../agents/memory.ts';
import { type Agent, reportOf, startAgent } from '../../agents/run.ts';
import { createSignal, until } from '../../src/loop.ts';
import { reportSchema } from '../../src/schema.ts';
import { type Controller, folder, patienceMs, startController, vip, webPool } from '../api/site.ts';
import { addressOn, createFakeKernel, createWorld, type FakeKernel, snapshot } from '../fake-kernel.ts';
import { took } from '../took.ts';
import { noCredentials } from './credentials.ts';

const rip = '192.0.2.11';

/** A real server's host with its agent. */
interface RealServer extends Agent {
  kernel: FakeKernel;
  dir: string;
  /** What was logged at level info, warn or error. */
  logged: { level: string; message: string; keys: object }[];
  /** Waits until something about the host or its log is so. */
  when(condition: () => boolean): Promise<void>;
}

interface Options {
  base: string;
  dir?: string;
  kernel?: FakeKernel;
  machineId?: string;
}

function startRealServer(
  t: Test,
  { base, dir = folder(t), kernel = createHostKernel(), machineId = 'm1' }: Options,
): RealServer {
  const logged: RealServer['logged'] = [];
  const happened = createSignal();
  const to = (level: string) => (keys: object, message: string) => {
    logged.push({ level, message, keys });
    happened.notify();
  };
  const { apply } = kernel;
  kernel.apply = async (steps) => {
    const failures = await apply(steps);
    happened.notify();
    return failures;
  };
  const agent = startAgent({
    host: { kernel, memory: openMemory(dir), interface: undefined, allowedVips: undefined, reserved: () => new Map() },
    controller: connectController(base, 'rs1', noCredentials, 'machine'),
    machineId,
    speedMbit: undefined,
    log: { info: to('info'), warn: to('warn'), error: to('error') },
  });
  let stopped: Promise<void> | undefined;
  const stop = () => {
    stopped ??= agent.stop();
    return stopped;
  };
  t.teardown(stop);
  return {
    ...agent,
    stop,
    kernel,
    dir,
    logged,
    when: async (condition) => {
      const met = await until(happened, () => condition() || undefined, patienceMs);
      if (!met) throw new Error(`never: ${condition}\n${JSON.stringify(logged)}`);
    },
  };
}

/** A host whose server listens on all addresses. */
function createHostKernel(): FakeKernel {
  const addresses = [addressOn('lo', '127.0.0.1', 8), addressOn('eth0', rip)];
  const kernel = createFakeKernel(createWorld({ addresses, marks: [] }));
  kernel.listeners = () => new Map([[80, 'wildcard']]);
  return kernel;
}
const hasVip = ({ world }: FakeKernel) => world.addresses.some((a) => a.address === vip && a.interface === 'lo');
const said = ({ logged }: RealServer, words: string) => logged.some(({ message }) => message.includes(words));
const weight = (c: Controller) =>
  c.kernel.world.services.get(`${vip}:80/tcp`)?.destinations.find((d) => d.address === rip)?.weight;

t.test('a real server gets its weight once its agent has reported the VIP in place, in this order', async (t) => {
  const c = await startController(t);
  const base = await c.listen();
  await c.call('PUT', '/v1/pools/web?waitMs=5000', webPool());
  t.equal(weight(c), 0);
  const rs1 = startRealServer(t, { base });
  await c.when(() => weight(c) === 100);
  t.ok(hasVip(rs1.kernel));
  t.match(
    rs1.kernel.applied.map(({ op }) => op),
    ['set-sysctl', 'set-sysctl', 'set-sysctl', 'set-sysctl', 'add-address'],
  );
  const { body } = await c.call('GET', '/v1/agents');
  t.match(body.agents.rs1, {
    machineId: 'm1',
    speedMbit: undefined,
    bootId: 'boot-1',
    addresses: [rip],
    vips: { [vip]: { present: true } },
    problems: [],
  });
});

t.test('a change of the pools reaches the host at once, and it says which revision it has', async (t) => {
  const c = await startController(t);
  const rs1 = startRealServer(t, { base: await c.listen() });
  await c.whenWaiting(1);
  await c.call('PUT', '/v1/pools/web', webPool());
  await rs1.when(() => hasVip(rs1.kernel));
  await c.when(() => weight(c) === 100);
  t.equal(c.agents.all().get('rs1')?.report.revision, 1);
});

t.test('a real server that leaves keeps its VIP until the director is rid of it', async (t) => {
  const c = await startController(t);
  const rs1 = startRealServer(t, { base: await c.listen() });
  await c.call('PUT', '/v1/pools/web', webPool());
  await c.when(() => weight(c) === 100);
  const { apply } = rs1.kernel;
  let atRemoval: number | undefined | 'never' = 'never';
  rs1.kernel.apply = async (steps) => {
    if (steps.some(({ op }) => op === 'delete-address')) atRemoval = weight(c);
    return apply(steps);
  };
  await c.call('DELETE', '/v1/pools/web/real-servers/rs1?drainMs=300');
  await rs1.when(() => !hasVip(rs1.kernel));
  t.equal(atRemoval, undefined, 'the destination was gone before the VIP went');
});

t.test('drift on the host is repaired, and the director never hears of it when it is quick', async (t) => {
  const c = await startController(t);
  const rs1 = startRealServer(t, { base: await c.listen() });
  await c.call('PUT', '/v1/pools/web', webPool());
  await c.when(() => weight(c) === 100);
  rs1.kernel.disturb((world) => {
    world.addresses = world.addresses.filter(({ address }) => address !== vip);
    world.sysctls.set('net.ipv4.conf.all.arp_ignore', '0');
  });
  await rs1.when(() => hasVip(rs1.kernel));
  t.equal(rs1.kernel.world.sysctls.get('net.ipv4.conf.all.arp_ignore'), '1');
});

t.test(
  'while the controller is away the host stays as it is; when it is back the agent follows it again',
  async (t) => {
    const c = await startController(t);
    const base = await c.listen();
    const rs1 = startRealServer(t, { base });
    await c.call('PUT', '/v1/pools/web', webPool());
    await c.when(() => weight(c) === 100);
    await c.stop();
    await rs1.when(() => said(rs1, 'not followed; this host stays as it is'));
    t.ok(hasVip(rs1.kernel));
    rs1.kernel.disturb((world) => {
      world.addresses = world.addresses.filter(({ address }) => address !== vip);
    });
    await rs1.when(() => hasVip(rs1.kernel));
    const again = await startController(t, { dir: c.dir });
    await again.api.listen({ host: '127.0.0.1', port: Number(new URL(base).port) });
    await again.when(() => weight(again) === 100);
    await rs1.when(() => said(rs1, 'is followed again'));
    await again.call('DELETE', '/v1/pools/web');
    await rs1.when(() => !hasVip(rs1.kernel));
  },
);

t.test('a start without a controller applies what was last wanted, also after a reboot', async (t) => {
  const c = await startController(t);
  const base = await c.listen();
  const rs1 = startRealServer(t, { base });
  await c.call('PUT', '/v1/pools/web', webPool());
  await c.when(() => weight(c) === 100);
  await rs1.stop();
  await c.stop();
  const kernel = createHostKernel();
  kernel.boot = 'boot-2';
  const rebooted = startRealServer(t, { base, dir: rs1.dir, kernel });
  await rebooted.when(() => hasVip(kernel));
  t.equal(kernel.world.sysctls.get('net.ipv4.conf.all.arp_announce'), '2');
});

t.test('a stop leaves the host as it is and ends at once, also while a poll waits', async (t) => {
  const c = await startController(t);
  const rs1 = startRealServer(t, { base: await c.listen() });
  await c.call('PUT', '/v1/pools/web', webPool());
  await c.when(() => weight(c) === 100);
  await c.whenWaiting(1);
  const before = snapshot(rs1.kernel.world);
  const logged = rs1.logged.length;
  t.ok((await took(rs1.stop)) < 2000);
  t.equal(snapshot(rs1.kernel.world), before);
  await rs1.ended;
  await c.whenWaiting(0);
  t.strictSame(
    rs1.logged.slice(logged).filter(({ level }) => level !== 'info'),
    [],
  );
  t.equal(weight(c), 100, 'nor does the director take its weight');
});

t.test('another machine under the name is told so, and its host is kept up all the same', async (t) => {
  const c = await startController(t);
  const base = await c.listen();
  c.attest('rs1', '192.0.2.66', [], { machineId: 'the first' });
  await c.call('PUT', '/v1/pools/web', webPool());
  const rs1 = startRealServer(t, { base, machineId: 'the second' });
  await rs1.when(() =>
    rs1.logged.some(({ keys }) => JSON.stringify(keys).includes('another machine reports under the name')),
  );
  t.equal(rs1.logged.filter(({ message }) => message === 'the report was not taken').length, 1, 'said once');
  t.equal(c.agents.all().get('rs1')?.report.machineId, 'the first');
  await c.call('DELETE', '/v1/agents/rs1');
  await c.when(() => weight(c) === 100);
});

t.test('what the host refuses is reported, and heals', async (t) => {
  const c = await startController(t);
  const kernel = createHostKernel();
  kernel.refuse = ({ op }) => (op === 'set-sysctl' ? 'EROFS' : undefined);
  const rs1 = startRealServer(t, { base: await c.listen(), kernel });
  await c.call('PUT', '/v1/pools/web', webPool());
  const why = () => c.director.last()?.standings.get('web')?.realServers.get('rs1')?.reason ?? '';
  await c.when(() => why().includes('EROFS'));
  t.match(why(), /VIP 192\.0\.2\.100 is not on lo of rs1: sysctl -w .*EROFS/);
  t.ok(said(rs1, 'problems of this host'));
  kernel.refuse = () => undefined;
  await c.when(() => weight(c) === 100);
  t.strictSame(c.agents.all().get('rs1')?.report.problems, []);
});

t.test('a host that cannot be looked at keeps its last word, and says so beside it', async (t) => {
  const c = await startController(t);
  const rs1 = startRealServer(t, { base: await c.listen() });
  await c.call('PUT', '/v1/pools/web', webPool());
  await c.when(() => weight(c) === 100);
  const { addresses } = rs1.kernel;
  rs1.kernel.addresses = () => {
    throw new Error('cannot read addresses: ENOBUFS');
  };
  rs1.kernel.disturb(() => {});
  const problems = () => c.agents.all().get('rs1')?.report.problems ?? [];
  await rs1.when(() => said(rs1, 'reconcile failed, trying again'));
  while (problems().length === 0) await new Promise((resolve) => setImmediate(resolve));
  t.match(problems(), ['this host cannot be looked after: cannot read addresses: ENOBUFS']);
  t.equal(weight(c), 100);
  rs1.kernel.addresses = addresses;
  while (problems().length > 0) await new Promise((resolve) => setImmediate(resolve));
});

t.test('a disk that cannot be written is told by its name, and is no reason to touch the host', async (t) => {
  const c = await startController(t);
  const rs1 = startRealServer(t, { base: await c.listen() });
  await c.whenWaiting(1);
  renameSync(rs1.dir, `${rs1.dir}.away`);
  writeFileSync(rs1.dir, 'no folder any more');
  await c.call('PUT', '/v1/pools/web', webPool());
  await rs1.when(() => rs1.logged.some(({ keys }) => JSON.stringify(keys).includes('agent.json cannot be written')));
  t.notOk(hasVip(rs1.kernel));
  rmSync(rs1.dir);
  renameSync(`${rs1.dir}.away`, rs1.dir);
  await c.when(() => weight(c) === 100);
});

t.test('a report is cut to what the controller takes', async (t) => {
  const problems = Array.from({ length: 200 }, () => 'x'.repeat(1000));
  const report = reportOf('m', 'b', {
    revision: 1,
    addresses: [rip],
    vips: {},
    problems,
    interface: 'eth0',
    repliesBy: 'eth0',
    mtu: 1500,
  });
  t.ok(reportSchema.safeParse(report).success);
});
