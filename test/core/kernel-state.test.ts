import fc from 'fast-check';
import t from 'tap';
import { destinationKey, serviceKey } from '../../src/core/kernel-state.ts';
import { holds } from '../property.ts';

const idArb = fc.record({
  vip: fc.oneof(fc.ipV4(), fc.ipV6()),
  port: fc.integer({ min: 1, max: 65535 }),
  protocol: fc.constantFrom('tcp' as const, 'udp' as const),
});

t.test('a service is named by VIP, port and protocol', async (t) => {
  t.equal(serviceKey({ vip: '192.0.2.100', port: 80, protocol: 'tcp' }), '192.0.2.100:80/tcp');
  t.equal(serviceKey({ vip: '2001:db8::100', port: 53, protocol: 'udp' }), '[2001:db8::100]:53/udp');
});

holds(
  t,
  'two services have one key only when they are one',
  fc.property(idArb, idArb, (a, b) => (serviceKey(a) === serviceKey(b)) === (JSON.stringify(a) === JSON.stringify(b))),
);

t.test('a destination is named by address and port within its service', async (t) => {
  t.equal(destinationKey({ address: '192.0.2.11', port: 80 }), '192.0.2.11 80');
});
