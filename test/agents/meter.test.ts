import t from 'tap';
import { createMeter } from '../../agents/meter.ts';
import { KernelError } from '../../src/kernel/errors.ts';
import { createFakeKernel } from '../fake-kernel.ts';

const vip = '192.0.2.100';
const vips = [{ vip, address: '192.0.2.11', ports: ['80/tcp', '443/tcp', '53/udp'] }];
const never = (error: Error) => {
  throw error;
};

t.test('an agent reads its card, and how many connections each TCP port of a VIP has', async (t) => {
  const kernel = createFakeKernel();
  kernel.world.traffic.set('eth0', { txBytes: 5, rxPackets: 3 });
  kernel.cardSpeed = () => 1000;
  kernel.established = () => new Map([[vip, new Map([[80, 12], [22, 1]])]]); // biome-ignore format: short
  const read = createMeter(kernel, undefined, never, () => 42).read('eth0', 'eth0', vips);
  t.match(read.card, { interface: 'eth0', txBytes: 5, rxPackets: 3, rxBytes: 0, speedMbit: 1000, at: 42 });
  t.strictSame(read.connections, { [vip]: { '80/tcp': 12, '443/tcp': 0 } });
});

t.test('where replies leave by another card that one counts, and the host is known by its own', async (t) => {
  const kernel = createFakeKernel();
  const card = kernel.card;
  kernel.card = (name) => ({ ...card('eth0')!, interface: name, mac: `02:00:00:00:00:0${name.at(-1)}` });
  kernel.cardSpeed = (name) => (name === 'eth1' ? 1000 : 100);
  t.match(createMeter(kernel, undefined, never).read('eth1', 'eth0', []).card, {
    interface: 'eth1',
    mac: '02:00:00:00:00:00',
    speedMbit: 1000,
  });
});

t.test('the configured speed goes before the driver’s, and none is null', async (t) => {
  const kernel = createFakeKernel();
  t.equal(createMeter(kernel, undefined, never).read('eth0', 'eth0', []).card?.speedMbit, null);
  kernel.cardSpeed = () => 10_000;
  t.equal(createMeter(kernel, 100, never).read('eth0', 'eth0', []).card?.speedMbit, 100);
});

t.test('without an interface there is no card', async (t) => {
  t.strictSame(createMeter(createFakeKernel(), 100, never).read(undefined, undefined, []), { connections: {} });
  t.equal(createMeter(createFakeKernel(), 100, never).read('eth9', 'eth9', []).card, undefined);
});

t.test('sockets that take long to list are listed seldom: 5 % of the time', async (t) => {
  const kernel = createFakeKernel();
  let [now, lists] = [0, 0];
  kernel.established = () => {
    lists++;
    now += 100;
    return new Map([[vip, new Map([[80, lists]])]]);
  };
  const meter = createMeter(kernel, 100, never, () => now);
  t.strictSame(meter.read('eth0', 'eth0', vips).connections?.[vip]?.['80/tcp'], 1);
  now = 1999;
  t.strictSame(meter.read('eth0', 'eth0', vips).connections?.[vip]?.['80/tcp'], 1);
  now = 2000;
  t.strictSame(meter.read('eth0', 'eth0', vips).connections?.[vip]?.['80/tcp'], 2);
});

t.test('what cannot be read is left out and told once', async (t) => {
  const kernel = createFakeKernel();
  const told: string[] = [];
  kernel.established = () => {
    throw new KernelError('EPERM', 'no');
  };
  const meter = createMeter(kernel, 100, ({ message }) => told.push(message));
  t.strictSame([meter.read('eth0', 'eth0', vips), meter.read('eth0', 'eth0', vips)], [{}, {}]);
  t.equal(told.length, 1);
});
