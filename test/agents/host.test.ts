import { renameSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { type HostOptions, reconcileHost, teardownHost } from '../../agents/host.ts';
import { openMemory } from '../../agents/memory.ts';
import type { Step } from '../../src/core/steps.ts';
import { commandOf } from '../../src/core/steps.ts';
import type { AgentDesired } from '../../src/schema.ts';
import { folder } from '../api/site.ts';
import {
  addressOn,
  createFakeKernel,
  createWorld,
  type FakeKernel,
  linkOf,
  snapshot,
  type World,
} from '../fake-kernel.ts';
import { holds } from '../property.ts';

const vip = '192.0.2.100';
const rip = '192.0.2.11';
const suppressed = ['all.arp_ignore=1', 'all.arp_announce=2', 'eth0.arp_ignore=1', 'eth0.arp_announce=2'].map(
  (of) => `sysctl -w net.ipv4.conf.${of}`,
);

/** A real server's host: its own address on eth0, nothing of ours. */
const hostWorld = () =>
  createWorld({
    addresses: [addressOn('lo', '127.0.0.1', 8), addressOn('eth0', rip), addressOn('eth0', '2001:db8::11', 64)],
    marks: [],
  });

interface Host extends HostOptions {
  kernel: FakeKernel;
  dir: string;
  reservedMap: Map<string, string>;
  /** Stores what the controller wants and brings the host to it. */
  want(vips: string[], address?: string): ReturnType<typeof reconcileHost>;
  pass(): ReturnType<typeof reconcileHost>;
  teardown(): Promise<string[]>;
  /** Command lines since the last look. */
  done(): string[];
}

function createHost(
  t: Test,
  more: { world?: World; dir?: string; allowedVips?: string[]; interface?: string } = {},
): Host {
  const kernel = createFakeKernel(more.world ?? hostWorld());
  const dir = more.dir ?? folder(t);
  const reservedMap = new Map<string, string>();
  let revision = 0;
  const host: Host = {
    kernel,
    dir,
    memory: openMemory(dir),
    interface: more.interface,
    allowedVips: more.allowedVips,
    reserved: () => reservedMap,
    reservedMap,
    want: async (vips, address = rip) => {
      const desired: AgentDesired = {
        revision: ++revision,
        vips: vips.map((vip) => ({ vip, address, ports: ['80/tcp'] })),
        probers: [],
      };
      await host.memory.change((now) => ({ ...now, desired }));
      return host.pass();
    },
    pass: () => reconcileHost(host),
    teardown: async () => {
      const lines: string[] = [];
      await teardownHost(host, (line) => lines.push(line));
      return lines;
    },
    done: () => kernel.applied.splice(0).map(commandOf),
  };
  return host;
}

const present = ({ world }: FakeKernel, address = vip) =>
  world.addresses.some((a) => a.address === address && a.interface === 'lo');

t.test('ARP is suppressed before the VIP is added, and the report says what the kernel then has', async (t) => {
  const host = createHost(t);
  const pass = await host.want([vip]);
  t.strictSame(host.done(), [...suppressed, `ip addr add ${vip}/32 dev lo`]);
  t.strictSame(pass.vips, { [vip]: { present: true, suppressed: true, listening: { '80/tcp': 'nothing' } } });
  t.equal(pass.mtu, 1500);
  t.strictSame(pass.problems, []);
  t.equal(pass.revision, 1);
  t.strictSame(pass.addresses, [rip, '2001:db8::11'], 'its own addresses, not those on lo');
});

t.test('a pass over a host that is as wanted does nothing', async (t) => {
  const host = createHost(t);
  const first = await host.want([vip]);
  host.done();
  t.strictSame(await host.pass(), { ...first, steps: [] });
  t.strictSame(host.done(), []);
});

t.test('the VIP is removed before the suppression is lifted, and the host is as it was', async (t) => {
  const host = createHost(t);
  const before = snapshot(host.kernel.world);
  await host.want([vip]);
  host.done();
  const pass = await host.want([]);
  t.strictSame(host.done(), [`ip addr del ${vip}/32 dev lo`, ...suppressed.map((line) => line.replace(/=\d$/, '=0'))]);
  t.strictSame(pass.vips, {});
  t.equal(snapshot(host.kernel.world), before);
});

t.test('the suppression stays as long as one VIP does', async (t) => {
  const host = createHost(t);
  await host.want([vip, '192.0.2.101']);
  host.done();
  await host.want(['192.0.2.101']);
  t.strictSame(host.done(), [`ip addr del ${vip}/32 dev lo`]);
});

t.test('an IPv6 VIP needs no suppression: it is added without DAD and never chosen as a source', async (t) => {
  const host = createHost(t);
  const pass = await host.want(['2001:db8::100'], '2001:db8::11');
  t.strictSame(host.done(), ['ip -6 addr add 2001:db8::100/128 dev lo nodad preferred_lft 0']);
  t.match(pass.vips, { '2001:db8::100': { present: true, suppressed: true } });
});

t.test("the interface is the one that carries the real server's address, or the configured one", async (t) => {
  const world = hostWorld();
  world.addresses.push(addressOn('eth1', '198.51.100.11'));
  const found = createHost(t, { world });
  await found.want([vip], '198.51.100.11');
  t.match(found.done().slice(2, 4), [
    'sysctl -w net.ipv4.conf.eth1.arp_ignore=1',
    'sysctl -w net.ipv4.conf.eth1.arp_announce=2',
  ]);
  const configured = createHost(t, { interface: 'eth1' });
  await configured.want([vip]);
  t.match(configured.done()[2], 'eth1.arp_ignore=1');
});

t.test('replies leave by the default route: by another card than requests come in, where it leads there', async (t) => {
  const host = createHost(t);
  t.match(await host.want([vip]), { interface: 'eth0', repliesBy: 'eth0' });
  const through = (...names: string[]) => {
    host.kernel.routes = () => names.map((name) => ({ destination: '0.0.0.0', prefix: 0, interface: name, gateway: true })); // biome-ignore format: short
    return host.pass();
  };
  t.match(await through('eth1'), { interface: 'eth0', repliesBy: 'eth1' });
  t.match(await through('eth1', 'eth0'), { interface: 'eth0', repliesBy: 'eth0' });
});

t.test('what may never be a VIP here is refused with the reason, and nothing is done', async (t) => {
  const cases: [string, (host: Host) => void, RegExp][] = [
    [
      '198.51.100.7',
      () => {},
      /lies outside the networks of "allowedVips" in this agent's config \(192\.0\.2\.0\/24\)/,
    ],
    ['192.0.2.254', (host) => host.reservedMap.set('192.0.2.254', 'gateway'), /192\.0\.2\.254 is this host's gateway/],
    ['192.0.2.53', (host) => host.reservedMap.set('192.0.2.53', 'DNS server'), /is this host's DNS server/],
    ['192.0.2.1', (host) => host.reservedMap.set('192.0.2.1', "director's controller"), /director's controller/],
    [
      rip,
      () => {},
      /192\.0\.2\.11 is on eth0 of this host, where it answers ARP.*ip addr del 192\.0\.2\.11\/24 dev eth0/,
    ],
    ['127.0.0.1', () => {}, /loopback|outside/],
    ['224.0.0.1', () => {}, /multicast|outside/],
  ];
  for (const [address, arrange, words] of cases) {
    const host = createHost(t, { allowedVips: ['192.0.2.0/24'] });
    arrange(host);
    const before = snapshot(host.kernel.world);
    const pass = await host.want([address]);
    t.match(pass.vips[address], { present: address === '127.0.0.1', suppressed: false, problem: words }, address);
    t.match(pass.problems, [words]);
    t.equal(snapshot(host.kernel.world), before);
    t.strictSame(host.done(), []);
  }
});

t.test('without allowedVips every VIP of the controller is taken, also multicast is not', async (t) => {
  const host = createHost(t);
  t.match((await host.want(['198.51.100.7'])).vips, { '198.51.100.7': { present: true } });
  const pass = await host.want(['224.0.0.1']);
  t.match(pass.vips, { '224.0.0.1': { present: false, problem: /multicast/ } });
});

t.test('a refused VIP does not keep a good one from its place', async (t) => {
  const host = createHost(t, { allowedVips: ['192.0.2.0/24'] });
  const pass = await host.want(['198.51.100.7', vip]);
  t.match(pass.vips, { [vip]: { present: true, suppressed: true }, '198.51.100.7': { present: false } });
  t.notOk(pass.vips[vip]?.problem);
});

t.test('a VIP that becomes forbidden is taken away again', async (t) => {
  const host = createHost(t);
  const before = snapshot(host.kernel.world);
  await host.want([vip]);
  host.allowedVips = ['198.51.100.0/24'];
  t.match((await host.pass()).vips, { [vip]: { present: false, problem: /allowedVips/ } });
  t.equal(snapshot(host.kernel.world), before);
});

t.test('an address or interface that the host does not have yet is waited for', async (t) => {
  const world = hostWorld();
  const eth0 = world.addresses.filter((a) => a.interface === 'eth0');
  world.addresses = world.addresses.filter((a) => a.interface !== 'eth0');
  const host = createHost(t, { world });
  t.match((await host.want([vip])).vips, {
    [vip]: { present: false, problem: /no interface of this host has 192\.0\.2\.11/ },
  });
  t.strictSame(
    host.done().filter((line) => line.startsWith('ip ')),
    [],
  );
  world.addresses.push(...eth0);
  t.match((await host.pass()).vips, { [vip]: { present: true, suppressed: true } });

  const late = createHost(t, { interface: 'eth7' });
  t.match((await late.want([vip])).vips, { [vip]: { present: false, problem: /has no interface "eth7" yet/ } });
  late.kernel.world.links.push(linkOf('eth7'));
  for (const name of ['arp_ignore', 'arp_announce']) late.kernel.world.sysctls.set(`net.ipv4.conf.eth7.${name}`, '0');
  t.match((await late.pass()).vips, { [vip]: { present: true, suppressed: true } });
});

t.test("a VIP that serves stays while the host's own address is gone for a moment", async (t) => {
  const host = createHost(t);
  await host.want([vip]);
  host.done();
  const { world } = host.kernel;
  world.addresses = world.addresses.filter(({ address }) => address !== rip);
  const pass = await host.pass();
  t.match(pass.vips, { [vip]: { present: true, problem: /no interface of this host has/ } });
  t.match(pass.vips, { [vip]: { suppressed: true } }, 'and stays silent');
  t.ok(present(host.kernel));
});

t.test('what somebody else changed is put right', async (t) => {
  const host = createHost(t);
  await host.want([vip]);
  host.done();
  host.kernel.world.addresses = host.kernel.world.addresses.filter(({ address }) => address !== vip);
  await host.pass();
  t.strictSame(host.done(), [`ip addr add ${vip}/32 dev lo`]);
  host.kernel.world.sysctls.set('net.ipv4.conf.all.arp_announce', '0');
  host.kernel.world.sysctls.set('net.ipv4.conf.eth0.arp_ignore', '8');
  t.match((await host.pass()).vips, { [vip]: { suppressed: true } });
  t.strictSame(host.done(), [
    'sysctl -w net.ipv4.conf.all.arp_announce=2',
    'sysctl -w net.ipv4.conf.eth0.arp_ignore=1',
  ]);
});

t.test('what the host had before is left, remembered and put back exactly', async (t) => {
  const world = hostWorld();
  world.sysctls.set('net.ipv4.conf.all.arp_ignore', '2');
  world.sysctls.set('net.ipv4.conf.eth0.arp_announce', '1');
  world.sysctls.set('net.ipv4.conf.eth0.arp_ignore', '1');
  world.addresses.push(addressOn('lo', vip, 24), addressOn('lo', '192.0.2.77', 32));
  const before = snapshot(world);
  const host = createHost(t, { world });
  const pass = await host.want([vip, '192.0.2.101']);
  t.strictSame(host.done(), [
    'sysctl -w net.ipv4.conf.all.arp_announce=2',
    'sysctl -w net.ipv4.conf.eth0.arp_announce=2',
    'ip addr add 192.0.2.101/32 dev lo',
  ]);
  t.match(pass.vips, { [vip]: { present: true, suppressed: true } }, 'arp_ignore 2 suppresses as well');
  t.strictSame(await host.teardown(), [
    'ip addr del 192.0.2.101/32 dev lo',
    'sysctl -w net.ipv4.conf.all.arp_announce=0',
    'sysctl -w net.ipv4.conf.eth0.arp_announce=1',
  ]);
  t.equal(snapshot(world), before);
});

t.test('a restart of the agent remembers; a second teardown finds nothing to do', async (t) => {
  const host = createHost(t);
  const before = snapshot(host.kernel.world);
  await host.want([vip]);
  const again = createHost(t, { dir: host.dir, world: host.kernel.world });
  t.strictSame((await again.pass()).steps, []);
  await again.teardown();
  t.equal(snapshot(host.kernel.world), before);
  t.strictSame(await again.teardown(), []);
  t.match((await again.pass()).vips, {}, 'nor does the next start bring it back by itself');
});

t.test(
  'after a reboot the last desired state is applied without a controller, and what is found then counts',
  async (t) => {
    const host = createHost(t);
    await host.want([vip]);
    const world = hostWorld();
    world.sysctls.set('net.ipv4.conf.all.arp_ignore', '1');
    const rebooted = createHost(t, { dir: host.dir, world });
    rebooted.kernel.boot = 'boot-2';
    const before = snapshot(world);
    t.match((await rebooted.pass()).vips, { [vip]: { present: true, suppressed: true } });
    t.strictSame(rebooted.done(), [...suppressed.slice(1), `ip addr add ${vip}/32 dev lo`]);
    await rebooted.teardown();
    t.equal(snapshot(world), before, 'arp_ignore of the new boot, not 0 of the old one');
  },
);

t.test('teardown right after a reboot touches nothing: what was made is gone with the boot', async (t) => {
  const host = createHost(t);
  await host.want([vip]);
  const world = hostWorld();
  world.addresses.push(addressOn('lo', vip, 32));
  world.sysctls.set('net.ipv4.conf.all.arp_ignore', '1');
  const rebooted = createHost(t, { dir: host.dir, world });
  rebooted.kernel.boot = 'boot-2';
  t.strictSame(await rebooted.teardown(), []);
  t.strictSame(rebooted.done(), []);
});

t.test('when a sysctl cannot be set, the VIP is not added, and the report says why', async (t) => {
  const host = createHost(t);
  host.kernel.refuse = (step) => (step.op === 'set-sysctl' && step.key.endsWith('.arp_ignore') ? 'EROFS' : undefined);
  const pass = await host.want([vip]);
  t.notOk(present(host.kernel));
  t.match(pass.vips[vip], {
    present: false,
    suppressed: false,
    problem: /sysctl -w net\.ipv4\.conf\.all\.arp_ignore=1: .*EROFS/,
  });
  t.match(pass.problems, [/EROFS/]);
  host.kernel.refuse = () => undefined;
  t.match((await host.pass()).vips, { [vip]: { present: true, suppressed: true } });
});

t.test('when the VIP cannot be removed, the suppression is not lifted', async (t) => {
  const host = createHost(t);
  await host.want([vip]);
  host.done();
  host.kernel.refuse = ({ op }) => (op === 'delete-address' ? 'EPERM' : undefined);
  const pass = await host.want([]);
  t.match(pass.problems, [/ip addr del .*EPERM/]);
  t.strictSame(host.done(), [`ip addr del ${vip}/32 dev lo`]);
  t.equal(host.kernel.sysctl('net.ipv4.conf.all.arp_ignore'), '1');
});

t.test('a teardown that is refused says what is left, and can be run again', async (t) => {
  const host = createHost(t);
  const before = snapshot(host.kernel.world);
  await host.want([vip]);
  host.kernel.refuse = ({ op }) => (op === 'set-sysctl' ? 'EROFS' : undefined);
  await t.rejects(host.teardown(), {
    code: 'TEARDOWN_INCOMPLETE',
    exitCode: 1,
    message: /correct the cause and run teardown again: .*EROFS/,
  });
  t.notOk(present(host.kernel));
  host.kernel.refuse = () => undefined;
  await host.teardown();
  t.equal(snapshot(host.kernel.world), before);
});

t.test('what cannot be remembered is not done', async (t) => {
  const host = createHost(t);
  await host.memory.change((now) => ({
    ...now,
    desired: { revision: 1, vips: [{ vip, address: rip, ports: [] }], probers: [] },
  }));
  renameSync(host.dir, `${host.dir}.away`);
  writeFileSync(host.dir, 'no folder any more');
  await t.rejects(host.pass(), { code: 'STATE_NOT_SAVED' });
  t.strictSame(host.done(), []);
});

const worldArb = fc
  .record({
    values: fc.array(fc.constantFrom('0', '1', '2'), { minLength: 4, maxLength: 4 }),
    lo: fc.subarray([
      addressOn('lo', vip, 32),
      addressOn('lo', '192.0.2.101', 24),
      addressOn('lo', '2001:db8::100', 128),
    ]),
  })
  .map(({ values, lo }) => {
    const world = hostWorld();
    world.addresses.push(...lo);
    for (const [i, key] of ['all.arp_ignore', 'all.arp_announce', 'eth0.arp_ignore', 'eth0.arp_announce'].entries())
      world.sysctls.set(`net.ipv4.conf.${key}`, values[i] ?? '0');
    return world;
  });
const wantsArb = fc.array(
  fc.record({
    vips: fc.subarray([vip, '192.0.2.101', '192.0.2.102', '2001:db8::100', '2001:db8::102', '127.0.0.1']),
    /** The process is killed after this many steps. */
    cutAfter: fc.option(fc.nat(8), { nil: undefined }),
  }),
  { minLength: 1, maxLength: 5 },
);

/** Whether somebody asking by ARP would hear of a VIP that we put there. */
function answers(world: World, own: ReadonlySet<string>): boolean {
  const value = (name: string) =>
    Math.max(...['all', 'eth0'].map((dev) => Number(world.sysctls.get(`net.ipv4.conf.${dev}.${name}`))));
  const exposed = value('arp_ignore') === 0 || value('arp_announce') < 2;
  return exposed && world.addresses.some((a) => a.interface === 'lo' && own.has(a.address) && !a.address.includes(':'));
}

holds(
  t,
  'no VIP that the agent added ever answers ARP, and teardown puts the host back, wherever the process was killed',
  fc.asyncProperty(worldArb, wantsArb, async (world, wants) => {
    const before = snapshot(world);
    const found = new Set(world.addresses.map(({ address }) => address));
    const dir = folder(t);
    for (const { vips, cutAfter } of wants) {
      const host = createHost(t, { dir, world });
      const { apply } = host.kernel;
      let left = cutAfter ?? Number.POSITIVE_INFINITY;
      host.kernel.apply = async (steps: readonly Step[]) => {
        if (left-- <= 0) throw new Error('killed');
        const failures = await apply(steps);
        const made = new Set(world.addresses.map(({ address }) => address).filter((address) => !found.has(address)));
        if (answers(world, made)) throw new Error(`answers ARP after ${steps.map(commandOf)}`);
        return failures;
      };
      for (const v4 of [true, false]) {
        const of = vips.filter((address) => address.includes(':') !== v4);
        const desired = {
          revision: 1,
          vips: of.map((vip) => ({ vip, address: v4 ? rip : '2001:db8::11', ports: [] })),
          probers: [],
        };
        await host.memory.change((now) => ({ ...now, desired }));
        const pass = await host.pass().catch((error: Error) => {
          if (error.message !== 'killed') throw error;
        });
        if (!pass) continue;
        if ((await host.pass()).steps.length > 0) throw new Error('a second pass finds something to do');
        for (const [address, { present, suppressed }] of Object.entries(pass.vips))
          if (address !== '127.0.0.1' && !(present && suppressed)) throw new Error(`${address} is not fit`);
      }
    }
    await createHost(t, { dir, world }).teardown();
    if (snapshot(world) !== before) throw new Error(`was\n${before}\nis\n${snapshot(world)}`);
  }),
  200,
);
