import { isIP } from 'node:net';
import fc from 'fast-check';
import t from 'tap';
import {
  canonical,
  familyOf,
  fromBytes,
  hostPrefix,
  inNetwork,
  isAddress,
  isNetwork,
  isPlainBeyondLoopback,
  notUnicast,
  toBytes,
  withPort,
} from '../../src/core/address.ts';
import { holds } from '../property.ts';

const bytesArb = fc.oneof(
  fc.uint8Array({ minLength: 4, maxLength: 4 }),
  fc.uint8Array({ minLength: 16, maxLength: 16 }),
  // Runs of zeros, which the short spelling is about.
  fc.array(fc.constantFrom(0, 0, 1, 255), { minLength: 16, maxLength: 16 }).map((bytes) => Uint8Array.from(bytes)),
);

holds(
  t,
  'bytes to text and back is the same address, in the one spelling',
  fc.property(bytesArb, (bytes) => {
    const text = fromBytes(bytes);
    return Buffer.from(toBytes(text)).equals(bytes) && canonical(text) === text && isAddress(text);
  }),
);

holds(
  t,
  'the one spelling of IPv6 is the one that browsers use (WHATWG URL, RFC 5952)',
  fc.property(
    fc
      .array(fc.constantFrom(0, 0, 0, 1, 0x10, 0xdb8, 0xffff), { minLength: 8, maxLength: 8 })
      .filter((words) => words[0]! > 0),
    fc.boolean(),
    (words, upper) => {
      const long = words.map((word) => word.toString(16).padStart(4, '0')).join(':');
      return `[${canonical(upper ? long.toUpperCase() : long)}]` === new URL(`http://[${long}]`).hostname;
    },
  ),
);

holds(
  t,
  'whatever is taken for an address is one, and text that is none comes back as it is',
  fc.property(fc.oneof(fc.string(), fc.ipV4(), fc.ipV6(), fc.ipV4Extended()), (text) =>
    isAddress(text) ? isIP(text) > 0 && isAddress(canonical(text)) : canonical(text) === text,
  ),
);

t.test('addresses are written in full, in decimal, without zone, prefix or port', async (t) => {
  for (const good of ['192.0.2.1', '2001:db8::1', '2001:DB8:0:0::1', '::', '::ffff:192.0.2.1'])
    t.ok(isAddress(good), good);
  for (const bad of [
    '',
    '1',
    '1.2.3',
    '010.0.0.1',
    '0x7f.0.0.1',
    '1.2.3.256',
    '192.0.2.1/24',
    '192.0.2.1:80',
    'fe80::1%eth0',
    '1::2::3',
    '[::1]',
    'rs1',
    ' 1.2.3.4',
  ])
    t.notOk(isAddress(bad), bad);
});

t.test('an address has a family, a prefix length of its own, and brackets before a port only in IPv6', async (t) => {
  t.strictSame(['192.0.2.1', '2001:db8::1'].map(familyOf), ['ipv4', 'ipv6']);
  t.strictSame(['192.0.2.1', '2001:db8::1'].map(hostPrefix), [32, 128]);
  t.strictSame(
    ['192.0.2.1', '2001:db8::1'].map((a) => withPort(a, 80)),
    ['192.0.2.1:80', '[2001:db8::1]:80'],
  );
});

t.test('an address that no host of a network can have for itself says what it is', async (t) => {
  for (const [address, kind] of [
    ['0.0.0.0', 'an unspecified address'],
    ['255.255.255.255', 'a broadcast address'],
    ['224.0.0.1', 'a multicast address'],
    ['ff02::1', 'a multicast address'],
    ['127.0.0.1', 'a loopback address'],
    ['::1', 'a loopback address'],
    ['169.254.1.1', 'a link-local address'],
    ['fe80::1', 'a link-local address'],
    ['::ffff:192.0.2.1', 'an IPv4 address in IPv6 spelling'],
  ] as const)
    t.equal(notUnicast(address), kind, address);
  for (const address of ['192.0.2.1', '10.0.0.1', '203.0.113.9', '2001:db8::1', 'fd00::1', '2a00:1450::1'])
    t.equal(notUnicast(address), undefined, address);
});

holds(
  t,
  'an address is in a network when their first bits agree',
  fc.property(bytesArb, bytesArb, fc.nat(128), (a, b, length) => {
    const bits = (bytes: Uint8Array) => [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
    const prefix = Math.min(length, b.length * 8);
    const is = a.length === b.length && bits(a).slice(0, prefix) === bits(b).slice(0, prefix);
    return (
      inNetwork(fromBytes(a), `${fromBytes(b)}/${prefix}`) === is &&
      inNetwork(fromBytes(b), `${fromBytes(b)}/${prefix}`)
    );
  }),
);

t.test('a network is an address and a prefix length of its family', async (t) => {
  for (const good of ['192.0.2.0/24', '0.0.0.0/0', '192.0.2.1/32', '2001:db8::/32', '::/0', '2001:db8::1/128'])
    t.ok(isNetwork(good), good);
  for (const bad of [
    '',
    '192.0.2.0',
    '192.0.2.0/',
    '192.0.2.0/33',
    '192.0.2.0/-1',
    '192.0.2.0/24/1',
    '2001:db8::/129',
    'x/8',
    '/8',
    '192.0.2.0/2 ',
  ])
    t.notOk(isNetwork(bad), bad);
});

t.test('what is neither encrypted nor on this host is told from what is', async (t) => {
  for (const url of ['http://192.0.2.1:7100', 'http://director', 'http://127.0.0.1.example', 'http://[2001:db8::1]/'])
    t.ok(isPlainBeyondLoopback(url), url);
  for (const url of ['https://192.0.2.1', 'http://127.9.9.9:1', 'http://[::1]:7100', 'http://localhost', 'unix:/run/x'])
    t.notOk(isPlainBeyondLoopback(url), url);
});
