import { deepStrictEqual, equal } from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { fromBytes, toBytes } from '../../src/core/address.ts';
import {
  advertisement,
  arpAnnouncements,
  arpProbe,
  decodeAdvertisement,
  decodeArp,
  encodeArp,
  icmpv6Checksum,
  solicitation,
} from '../../src/kernel/frames.ts';
import { holds } from '../property.ts';

const bytes = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((values) => Buffer.from(values));
const party = fc.record({ mac: bytes(6), address: bytes(4) }, { noNullPrototype: true });

holds(
  t,
  'an ARP packet is read as it was written',
  fc.property(
    fc.record({ reply: fc.boolean(), sender: party, target: party }, { noNullPrototype: true }),
    bytes(6),
    (arp, to) => deepStrictEqual(decodeArp(encodeArp(arp, to)), arp),
  ),
);

holds(
  t,
  'an advertisement tells whose address is where, and its checksum adds up to nothing',
  fc.property(bytes(6), bytes(16), (mac, address) => {
    const frame = advertisement(mac, address);
    deepStrictEqual(decodeAdvertisement(frame), { mac, address });
    return icmpv6Checksum(frame.subarray(22, 38), frame.subarray(38, 54), frame.subarray(54)) === 0;
  }),
);

holds(
  t,
  'a solicitation goes to the group that the address is in, with a hop limit of 255 and a right checksum',
  fc.property(bytes(6), bytes(16), fc.constantFrom('::', 'fe80::1'), (mac, address, from) => {
    const source = toBytes(from);
    const frame = solicitation(mac, source, address);
    equal(frame.subarray(0, 6).toString('hex'), `3333ff${address.subarray(13).toString('hex')}`);
    equal(frame.subarray(38, 51).toString('hex'), 'ff0200000000000000000001ff');
    equal(frame[21], 255);
    // From :: there may be no source link-layer address (RFC 4861, 4.3).
    equal(frame.length, from === '::' ? 78 : 86);
    equal(frame.readUInt16BE(18), frame.length - 54);
    return icmpv6Checksum(source, frame.subarray(38, 54), frame.subarray(54)) === 0;
  }),
  50,
);

const mac = Buffer.from('020000000001', 'hex');

t.test('an ARP probe is the one of RFC 5227, byte by byte', async (t) => {
  t.equal(
    arpProbe(mac, toBytes('192.0.2.100')).toString('hex'),
    [
      'ffffffffffff0200000000010806', // Ethernet: to all, ARP
      '00010800060400010200000000010000', // request from our MAC and
      '0000000000000000c0000264', // no address, about 192.0.2.100
    ].join(''),
  );
});

t.test('an ARP announcement comes as request and as reply, of the address to itself', async (t) => {
  const [request, reply] = arpAnnouncements(mac, toBytes('192.0.2.100')).map((frame) => decodeArp(frame)!);
  for (const [arp, isReply] of [
    [request!, false],
    [reply!, true],
  ] as const) {
    t.equal(arp.reply, isReply);
    t.equal(fromBytes(arp.sender.address), '192.0.2.100');
    t.equal(fromBytes(arp.target.address), '192.0.2.100');
  }
});

t.test('an advertisement is unsolicited, overrides, and is for all nodes', async (t) => {
  const frame = advertisement(mac, toBytes('2001:db8::100'));
  t.equal(frame.subarray(0, 6).toString('hex'), '333300000001');
  t.equal(fromBytes(frame.subarray(22, 38)), '2001:db8::100');
  t.equal(fromBytes(frame.subarray(38, 54)), 'ff02::1');
  t.equal(frame.subarray(58, 62).toString('hex'), '20000000');
});

t.test('an advertisement without its option is at the Ethernet address that sent it', async (t) => {
  const frame = advertisement(mac, toBytes('2001:db8::100')).subarray(0, 78);
  t.equal(Buffer.from(decodeAdvertisement(frame)!.mac).toString('hex'), '020000000001');
});

t.test('an advertisement from beyond the link is none', async (t) => {
  const frame = advertisement(mac, toBytes('2001:db8::100'));
  frame[21] = 254;
  t.equal(decodeAdvertisement(frame), undefined);
});

holds(
  t,
  'any frame at all is an answer or none',
  fc.property(fc.uint8Array({ maxLength: 100 }), fc.boolean(), fc.nat(60), (noise, cut, length) => {
    const frame = Buffer.from(noise);
    const changed = advertisement(mac, toBytes('2001:db8::100'));
    changed.set(noise.subarray(0, 32), 54);
    for (const one of [frame, cut ? changed.subarray(0, length) : changed]) {
      decodeArp(one);
      decodeAdvertisement(one);
    }
  }),
  2000,
);
