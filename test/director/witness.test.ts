import t, { type Test } from 'tap';
import { startWitness } from '../../src/director/witness.ts';
import { KernelError } from '../../src/kernel/errors.ts';
import { until } from '../../src/loop.ts';
import { createEvents } from '../../src/store/events.ts';
import { openEvents } from '../../src/store/state.ts';
import { folder } from '../api/site.ts';
import { createFakeKernel } from '../fake-kernel.ts';

const vip = '192.0.2.100';
const mac = '02:00:00:00:00:12';

function start(t: Test, vips: readonly string[]) {
  const kernel = createFakeKernel();
  const events = createEvents(openEvents(folder(t)), () => {});
  const asked: (readonly string[])[] = [];
  const { whoClaims } = kernel;
  kernel.whoClaims = async (addresses, interfaceName) => {
    asked.push(addresses);
    return whoClaims(addresses, interfaceName);
  };
  const names = new Map([[mac, 'rs2']]);
  const log = { warn: () => {} };
  const witness = startWitness({ kernel, interface: 'eth0', vips: () => vips, names: () => names, events, log });
  t.teardown(async () => {
    await witness.stop();
    await events.stop();
  });
  const told = () => events.since(0).map(({ type, realServer }) => [type, realServer]);
  const when = (count: number) => until(events.added, () => told().length >= count || undefined, 20_000);
  return { kernel, asked, witness, events, told, when };
}

t.test(
  'a real server that answers for a VIP is told by name, a machine without an agent is an alarm, and so is their end',
  async (t) => {
    const { kernel, witness, told, when } = start(t, [vip]);
    kernel.world.lan.set(vip, mac);
    t.ok(await when(1));
    t.strictSame(told(), [['arp-wrong-answer', 'rs2']]);
    t.match(witness.claimants(), [{ address: vip, mac, realServer: 'rs2' }]);
    kernel.world.lan.set(vip, '02:00:00:00:00:99');
    t.ok(await when(3));
    kernel.world.lan.clear();
    t.ok(await when(4));
    t.strictSame(told(), [
      ['arp-wrong-answer', 'rs2'],
      ['vip-claimed', undefined],
      ['arp-quiet', 'rs2'],
      ['arp-quiet', undefined],
    ]);
    t.strictSame(witness.claimants(), []);
  },
);

t.test('many VIPs are asked for a hundred at a time, each in its turn', async (t) => {
  const vips = Array.from({ length: 150 }, (_, i) => `192.0.2.${i + 1}`);
  const { kernel, asked, when } = start(t, vips);
  kernel.world.lan.set('192.0.2.150', mac);
  t.ok(await when(1));
  t.strictSame(
    asked.slice(0, 2).map(({ length }) => length),
    [100, 50],
  );
  t.strictSame(new Set(asked.slice(0, 2).flat()), new Set(vips));
});

t.test('that the LAN cannot be asked is known, until it can be', async (t) => {
  const { kernel, witness, when } = start(t, [vip]);
  const { whoClaims } = kernel;
  kernel.whoClaims = async () => {
    throw new KernelError('ENETDOWN', 'eth0 is down');
  };
  while (witness.problem() === undefined) await new Promise((resolve) => setImmediate(resolve));
  t.equal(witness.problem(), 'eth0 is down');
  kernel.world.lan.set(vip, mac);
  kernel.whoClaims = whoClaims;
  t.ok(await when(1));
  t.equal(witness.problem(), undefined);
});
