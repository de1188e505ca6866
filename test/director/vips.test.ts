import t from 'tap';
import { lookAt } from '../../src/director/facts.ts';
import { createVipGuard } from '../../src/director/vips.ts';
import { createEvents } from '../../src/store/events.ts';
import { inMemory } from '../documents.ts';
import { addressOn, createFakeKernel, createWorld, linkOf } from '../fake-kernel.ts';
import { ofIpvs, rs1, runningSite, startSite, vip, web } from './site.ts';

t.test(
  'while another host answers for a VIP, services are programmed and the address is not taken',

  async (t) => {
    const mac = '02:00:00:00:00:99';
    const site = startSite(t, { kernel: createFakeKernel(createWorld({ lan: new Map([[vip, mac]]) })) });
    await site.put(web({ rs1 }));
    const { blocked, reconciledRevision } = await site.waitFor(
      'the conflict',
      () => site.told('vip-conflict').length === 1,
    );
    t.match(blocked.get(vip), `another host on the LAN answers for ${vip}: ${mac}`);
    t.equal(reconciledRevision, 0);
    t.strictSame(site.lines(), [
      ...ofIpvs('1'),
      'ipvsadm -A -t 192.0.2.100:80 -s wlc',
      'ipvsadm -a -t 192.0.2.100:80 -r 192.0.2.11:80 -g -w 0',
    ]);
    site.kernel.world.lan.clear();
    await site.reconciled();
    t.strictSame(site.lines(), ['ip addr add 192.0.2.100/32 dev eth0', 'arping -U -c 3 -I eth0 192.0.2.100']);
    t.equal(site.told('vip-free').length, 1);
    t.strictSame(site.told('drift'), []);
  },
);

t.test(
  'an IPv6 VIP that another host turns out to have is given back, and taken once it is free',

  async (t) => {
    const six = '2001:db8::100';
    const site = startSite(t);
    const { whoHas } = site.kernel;
    // It does not answer when it is asked, but when the address is tried (RFC 4862).
    site.kernel.whoHas = async () => undefined;
    site.kernel.world.lan.set(six, '02:00:00:00:00:99');
    await site.put({ web: { vip: six, ports: { '80/tcp': { policy: 'real-servers' } } } });
    await site.waitFor('it was tried', () => site.kernel.world.addresses.some((a) => a.address === six && a.dadFailed));
    site.kernel.whoHas = whoHas;
    const held = () => site.kernel.world.addresses.find((a) => a.address === six);
    await site.waitFor('it is given back', ({ blocked }) => blocked.has(six) && !held());
    t.equal(site.told('vip-conflict').length, 1);
    site.kernel.world.lan.clear();
    await site.waitFor('it is taken', () => held()?.dadFailed === false);
    await site.reconciled();
  },
);

t.test('an interface that is missing or down is waited for, and the reason says which', async (t) => {
  const world = createWorld();
  world.links = world.links.filter(({ name }) => name !== 'eth0');
  const site = startSite(t, { kernel: createFakeKernel(world) });
  await site.put(web());
  const missing = await site.waitFor('blocked', (last) => last.blocked.get(vip)?.includes('eth0') === true);
  t.match(missing.blocked.get(vip), /no interface "eth0": it is waited for/);
  t.equal(site.kernel.world.services.size, 1, 'services are programmed all the same');
  site.kernel.disturb((w) => w.links.push(linkOf('eth0', { up: false, carrier: false })));
  await site.waitFor('down', (last) => last.blocked.get(vip)?.includes('is down: ip link set eth0 up') === true);
  site.kernel.disturb((w) => w.links.splice(-1, 1, linkOf('eth0')));
  await site.reconciled();
  t.ok(site.kernel.world.addresses.some(({ address }) => address === vip));
});

t.test('when the cable comes back, the neighbours are told where the VIPs are', async (t) => {
  const site = await runningSite(t);
  const cable = (carrier: boolean) =>
    site.kernel.disturb((w) => {
      w.links = w.links.map((link) => (link.name === 'eth0' ? { ...link, carrier } : link));
    });
  cable(false);
  await site.waitFor('a pass that saw it', ({ look }) => look.links.some(({ carrier }) => !carrier));
  t.strictSame(site.lines(), []);
  cable(true);
  await site.waitFor('announced', () => site.kernel.world.announced.length === 2);
  t.strictSame(site.lines(), ['arping -U -c 3 -I eth0 192.0.2.100']);
});

t.test('a VIP that is put in mid-pass is not taken before the LAN was asked for it', async (t) => {
  const other = '192.0.2.101';
  const site = startSite(t, {
    kernel: createFakeKernel(createWorld({ lan: new Map([[other, '02:00:00:00:00:99']]) })),
  });
  const { whoHas } = site.kernel;
  const both = { ...web({}), more: { vip: other, ports: { '80/tcp': { policy: 'real-servers' } } } };
  let second: Promise<void> | undefined;
  site.kernel.whoHas = async (address, name) => {
    second ??= site.put(both);
    await second;
    return whoHas(address, name);
  };
  await site.put(web({}));
  await site.waitFor('the conflict', () => site.told('vip-conflict').length === 1);
  t.strictSame(
    site.lines().filter((line) => line.startsWith('ip ')),
    ['ip addr add 192.0.2.100/32 dev eth0'],
  );
});

/** A guard with a clock that a test moves. */
function guardOf(world = createWorld()) {
  const kernel = createFakeKernel(world);
  const events = createEvents(inMemory({ events: [] }), () => {});
  const clock = { now: 0 };
  const asked: string[] = [];
  const { whoHas } = kernel;
  kernel.whoHas = (address, name) => {
    asked.push(address);
    return whoHas(address, name);
  };
  const guard = createVipGuard(kernel, 'eth0', events, () => clock.now);
  return {
    kernel,
    guard,
    clock,
    asked,
    check: async (...vips: string[]) => guard.check(vips, await lookAt(kernel, 'eth0', [])),
    types: () => events.since().map(({ type }) => type),
  };
}

t.test('only VIPs that this host does not have are asked for', async (t) => {
  const { kernel, check, asked } = guardOf();
  kernel.world.addresses.push(addressOn('eth1', '192.0.2.101'), {
    ...addressOn('eth0', '2001:db8::100'),
    dadFailed: true,
  });
  t.equal((await check('192.0.2.100', '192.0.2.101', '2001:db8::100')).size, 0);
  t.strictSame(asked, ['192.0.2.100', '2001:db8::100']);
});

t.test(
  'a VIP in conflict is asked for again every three seconds, and told when it is free or has a new owner',
  async (t) => {
    const { kernel, guard, clock, check, asked, types } = guardOf();
    kernel.world.lan.set(vip, '02:00:00:00:00:98');
    const pass = async (ms: number) => {
      clock.now += ms;
      return (await check(vip)).get(vip);
    };
    t.match(await pass(0), /02:00:00:00:00:98/);
    t.match(await pass(2999), /02:00:00:00:00:98/);
    t.equal(asked.length, 1);
    kernel.world.lan.set(vip, '02:00:00:00:00:99');
    t.match(await pass(1), /02:00:00:00:00:99/);
    t.strictSame([...guard.conflicts], [[vip, '02:00:00:00:00:99']]);
    kernel.world.lan.clear();
    t.match(await pass(2999), /02:00:00:00:00:99/);
    t.equal(await pass(1), undefined);
    t.equal(guard.conflicts.size, 0);
    t.strictSame(types(), ['vip-conflict', 'vip-conflict', 'vip-free']);
  },
);

t.test('a conflict ends with its pool', async (t) => {
  const { kernel, guard, check, types } = guardOf();
  kernel.world.lan.set(vip, '02:00:00:00:00:98');
  await check(vip);
  t.equal((await check()).size, 0);
  t.equal(guard.conflicts.size, 0);
  t.strictSame(types(), ['vip-conflict']);
});

t.test('while the interface is down nobody is asked, and what was known of a conflict stays', async (t) => {
  const { kernel, check, asked } = guardOf();
  kernel.world.lan.set(vip, '02:00:00:00:00:98');
  await check(vip);
  kernel.world.links = kernel.world.links.map((link) => ({ ...link, up: false }));
  t.match((await check(vip, '192.0.2.101')).get('192.0.2.101'), /eth0 is down/);
  t.match((await check(vip)).get(vip), /02:00:00:00:00:98/);
  t.equal(asked.length, 1);
});

t.test('services are programmed where the LAN cannot be asked, and the VIP is not taken until it can', async (t) => {
  const site = startSite(t);
  const { whoHas } = site.kernel;
  site.kernel.whoHas = async () => {
    throw new Error('no privilege to ask');
  };
  await site.put(web({ rs1 }));
  const { blocked } = await site.waitFor('blocked', (last) => last.blocked.has(vip) && last.look.services.size > 0);
  t.match(
    blocked.get(vip),
    'it cannot be asked whether another host has 192.0.2.100, so it is not taken: no privilege',
  );
  t.notOk(site.kernel.world.addresses.some(({ address }) => address === vip));
  site.kernel.whoHas = whoHas;
  await site.reconciled();
  t.ok(site.kernel.world.addresses.some(({ address }) => address === vip));
});
