import { deepStrictEqual } from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { fromBytes, toBytes } from '../../src/core/address.ts';
import { type Table, type Values, writeAttributes, writeBytes } from '../../src/kernel/attributes.ts';
import { KernelError } from '../../src/kernel/errors.ts';
import * as rt from '../../src/kernel/rt-attributes.ts';
import { readAddress, readGateways, readLink } from '../../src/kernel/rt-decode.ts';
import { holds } from '../property.ts';
import { datagram, messagesOf } from './wires.ts';

const message = <T extends Table>(head: number[], table: T, values: Values<T>) =>
  messagesOf(
    datagram(16, 1, (to) => {
      writeBytes(to, Uint8Array.from(head));
      writeAttributes(to, table, values);
    }),
  )[0]!;

const bytes = (address: string) => Buffer.from(toBytes(address));
const link = (type: number, flags: number[], values: Values<typeof rt.IFLA>) =>
  readLink(message([0, 0, type, 0, 7, 0, 0, 0, ...flags, 0, 0, 0, 0], rt.IFLA, values));

t.test('an interface is up, has carrier and speaks ARP by its flags', async (t) => {
  const ADDRESS = Buffer.from('020000000001', 'hex');
  t.strictSame(link(1, [0x43, 0x10, 0x01, 0], { ADDRESS, IFNAME: 'eth0.100', MTU: 9000 }), {
    index: 7,
    name: 'eth0.100',
    up: true,
    carrier: true,
    loopback: false,
    arp: true,
    mac: '02:00:00:00:00:01',
    mtu: 9000,
  });
  t.match(link(1, [0x82, 0, 0, 0], { ADDRESS, IFNAME: 'dummy0', MTU: 1500 }), {
    up: false,
    carrier: false,
    arp: false,
  });
});

t.test('an interface that is not Ethernet has no Ethernet address', async (t) => {
  const loopback = link(0x304 & 0xff, [0x49, 0, 1, 0], { ADDRESS: Buffer.alloc(6), IFNAME: 'lo', MTU: 65536 });
  t.match(loopback, { mac: '', loopback: true, arp: false });
  t.equal(link(32, [1, 0, 0, 0], { ADDRESS: Buffer.alloc(20), IFNAME: 'ib0', MTU: 2044 }).mac, '');
});

t.test('an address with a peer is the one of this end', async (t) => {
  const head = [2, 32, 0, 0, 3, 0, 0, 0];
  const read = readAddress(message(head, rt.IFA, { ADDRESS: bytes('192.0.2.2'), LOCAL: bytes('192.0.2.1') }));
  t.strictSame(read, { address: '192.0.2.1', prefix: 32, index: 3, tentative: false, dadFailed: false });
});

t.test('the flags of an address are the 32 bits where there are 32', async (t) => {
  const ADDRESS = bytes('2001:db8::100');
  const head = [10, 128, 0x40, 0, 3, 0, 0, 0];
  t.match(readAddress(message(head, rt.IFA, { ADDRESS })), { tentative: true, dadFailed: false });
  t.match(readAddress(message(head, rt.IFA, { ADDRESS, FLAGS: 0x208 })), { tentative: false, dadFailed: true });
});

t.test('an address of another family is passed over', async (t) => {
  t.equal(readAddress(message([17, 0, 0, 0, 1, 0, 0, 0], rt.IFA, {})), undefined);
});

const MAIN = 254;
const route = (family: number, prefix: number, table: number, type: number, values: Values<typeof rt.RTA>) =>
  readGateways(message([family, prefix, 0, 0, table, 0, 0, type, 0, 0, 0, 0], rt.RTA, values));

t.test('default routes of the main table have gateways, whichever way they are told', async (t) => {
  const GATEWAY = bytes('192.0.2.254');
  t.strictSame(route(2, 0, MAIN, 1, { GATEWAY }), ['192.0.2.254']);
  t.strictSame(route(10, 0, 0, 1, { TABLE: MAIN, GATEWAY: bytes('fe80::1') }), ['fe80::1']);
  t.strictSame(route(2, 0, MAIN, 1, { VIA: Buffer.concat([Buffer.of(10, 0), bytes('fe80::1')]) }), ['fe80::1']);
  const hop = (gateway: string) =>
    Buffer.concat([Buffer.of(16, 0, 0, 0, 3, 0, 0, 0), Buffer.of(8, 0, 5, 0), bytes(gateway)]);
  t.strictSame(route(2, 0, MAIN, 1, { MULTIPATH: Buffer.concat([hop('192.0.2.1'), hop('192.0.2.2')]) }), [
    '192.0.2.1',
    '192.0.2.2',
  ]);
  t.strictSame(route(2, 0, MAIN, 1, {}), [], 'a default route to a link');
});

t.test('other routes have none', async (t) => {
  const GATEWAY = bytes('192.0.2.254');
  t.equal(route(2, 24, MAIN, 1, { GATEWAY }), undefined, 'not a default');
  t.equal(route(2, 0, 100, 1, { GATEWAY }), undefined, 'of another table');
  t.equal(route(2, 0, 0, 1, { GATEWAY, TABLE: 1000 }), undefined, 'of a table with a large number');
  t.equal(route(2, 0, MAIN, 7, { GATEWAY }), undefined, 'unreachable');
});

holds(
  t,
  'any address is read as it was written',
  fc.property(
    fc.oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 })),
    fc.nat(32),
    fc.nat(255),
    (address, prefix, index) => {
      const head = [address.length === 4 ? 2 : 10, prefix, 0, 0, index, 0, 0, 0];
      const read = readAddress(message(head, rt.IFA, { ADDRESS: Buffer.from(address) }));
      deepStrictEqual(read, { address: fromBytes(address), prefix, index, tentative: false, dadFailed: false });
    },
  ),
);

holds(
  t,
  'any bytes at all are an interface, an address, a route, or a KernelError',
  fc.property(fc.uint8Array({ maxLength: 64 }), fc.constantFrom(0, 2, 10), (noise, family) => {
    const [read] = messagesOf(
      datagram(16, 1, (to) => writeBytes(to, Uint8Array.of(family, 0, 0, 0, MAIN, 0, 0, 1, ...noise))),
    );
    for (const reader of [readLink, readAddress, readGateways])
      try {
        reader({ ...read!, end: read!.start + noise.length });
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
      }
  }),
  2000,
);
