import fc from 'fast-check';
import t from 'tap';
import { inNetwork, isAddress, notUnicast } from '../../src/core/address.ts';
import { proberAddresses, proberLinkLocal, proberMac } from '../../src/core/prober-address.ts';
import { holds } from '../property.ts';

const mac = '02:00:00:00:00:01';
const macArb = fc
  .uint8Array({ minLength: 6, maxLength: 6 })
  .map((bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':'));

t.test('a configured address is taken for its family, the other follows from the MAC', async (t) => {
  const own = { address: '192.0.2.9', prefix: 32 };
  const six = { address: '2001:db8::9', prefix: 128 };
  const derived = proberAddresses(mac, []);
  t.strictSame(proberAddresses(mac, [own]), { ipv4: own, ipv6: derived.ipv6 });
  t.strictSame(proberAddresses(mac, [six]), { ipv4: derived.ipv4, ipv6: six });
  t.strictSame(proberAddresses(mac, [six, own]), { ipv4: own, ipv6: six });
});

t.test('the same MAC has the same addresses after every start, however it is written', async (t) => {
  const upper = '02:AB:CD:EF:00:01';
  t.strictSame(proberAddresses(upper, []), proberAddresses(upper.toLowerCase(), []));
  t.strictSame(proberLinkLocal(upper), proberLinkLocal(upper.toLowerCase()));
  t.strictSame(proberMac(upper), proberMac(upper.toLowerCase()));
});

t.test('MACs that differ in one bit have addresses that differ', async (t) => {
  const macs = Array.from({ length: 64 }, (_, i) => `02:00:00:00:00:${i.toString(16).padStart(2, '0')}`);
  for (const of of [
    (m: string) => proberAddresses(m, []).ipv4.address,
    (m: string) => proberAddresses(m, []).ipv6.address,
    (m: string) => proberLinkLocal(m).address,
    (m: string) => proberMac(m).join(),
  ])
    t.equal(new Set(macs.map(of)).size, 64);
});

holds(
  t,
  'an address that follows from a MAC is link-local IPv4 that may be used, unique local IPv6, and link-local IPv6',
  fc.property(macArb, (m) => {
    const { ipv4, ipv6 } = proberAddresses(m, []);
    const local = proberLinkLocal(m);
    const third = Number(ipv4.address.split('.')[2]);
    return (
      inNetwork(ipv4.address, '169.254.0.0/16') &&
      third >= 1 &&
      third <= 254 &&
      ipv4.prefix === 32 &&
      isAddress(ipv6.address) &&
      inNetwork(ipv6.address, 'fd00::/8') &&
      notUnicast(ipv6.address) === undefined &&
      ipv6.prefix === 128 &&
      inNetwork(local.address, 'fe80::/64') &&
      local.prefix === 64
    );
  }),
);

holds(
  t,
  'the MAC of a macvlan is unicast, locally administered, and not its parent’s',
  fc.property(macArb, (m) => {
    const own = proberMac(m);
    const text = [...own].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
    return own.length === 6 && ((own[0] ?? 0) & 0x03) === 0x02 && text !== m;
  }),
);
