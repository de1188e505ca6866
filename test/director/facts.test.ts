import t from 'tap';
import { ipvsSysctls } from '../../src/core/ipvs-sysctls.ts';
import { lookAt } from '../../src/director/facts.ts';
import { addressOn, createFakeKernel, createWorld } from '../fake-kernel.ts';

t.test('a look is all that a plan and status need of the kernel, of one moment', async (t) => {
  const world = createWorld({ addresses: [addressOn('eth0', '192.0.2.1')] });
  const look = await lookAt(createFakeKernel(world), 'eth0', ['net.ipv4.conf.all.arp_ignore', 'net.gone']);
  t.strictSame(look.addresses, world.addresses);
  t.strictSame(look.links, world.links);
  t.strictSame(look.services, world.services);
  t.ok(look.tookMs >= 0);
  t.strictSame(
    [...look.sysctls],
    [
      ['net.ipv4.conf.all.arp_ignore', '0'],
      ['net.gone', undefined],
      ['net.ipv6.conf.eth0.ndisc_notify', '0'],
      ...ipvsSysctls.map(({ key }) => [key, '0']),
    ],
    'sysctls of the ledger, and those that VIPs and services may need',
  );
});

t.test('a look fails with the kernel’s own reason', async (t) => {
  const kernel = createFakeKernel();
  kernel.blind = 'EPERM';
  await t.rejects(lookAt(kernel, 'eth0', []), { code: 'EPERM', exitCode: 3 });
});
