import { type Family, familyOf, fromBytes } from './address.ts';

/** An address of the prober, with its prefix length. */
export interface ProberAddress {
  address: string;
  prefix: number;
}

/**
 * The address that the prober has in each family: the configured one, or else one that follows from the MAC of the
 * director's interface, so that it is the same after every start. A real server needs an on-link route to the latter.
 */
export function proberAddresses(mac: string, configured: readonly ProberAddress[]): Record<Family, ProberAddress> {
  const of = (family: Family) => configured.find(({ address }) => familyOf(address) === family);
  return {
    ipv4: of('ipv4') ?? { address: fromBytes(linkLocalV4(mac)), prefix: 32 },
    ipv6: of('ipv6') ?? { address: fromBytes(uniqueLocal(mac)), prefix: 128 },
  };
}

/** An IPv6 link-local address other than the director's own, from which neighbors are asked (RFC 4861, 7.2.2). */
export function proberLinkLocal(mac: string): ProberAddress {
  return { address: fromBytes(Uint8Array.from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, ...hashed(mac, 'fe80', 8)])), prefix: 64 };
}

/** The MAC of a macvlan, which is not its parent's: unicast and locally administered (IEEE 802, 8.2.2). */
export function proberMac(mac: string): Uint8Array {
  const [first = 0, ...rest] = hashed(mac, 'mac', 6);
  return Uint8Array.from([(first & 0xfc) | 0x02, ...rest]);
}

/** 169.254.1.0 to 169.254.254.255 (RFC 3927, 2.1), but for 169.254.169.x, where clouds have their metadata. */
function linkLocalV4(mac: string): Uint8Array {
  const [first = 0, more = 0, fourth = 0] = hashed(mac, '169.254', 3);
  const third = 1 + ((first * 256 + more) % 253);
  return Uint8Array.of(169, 254, third < 169 ? third : third + 1, fourth);
}

/** fd00::/8 (RFC 4193, 3.1); the global ID of 40 bits, the subnet and the interface all follow from the MAC. */
function uniqueLocal(mac: string): Uint8Array {
  return Uint8Array.from([0xfd, ...hashed(mac, 'fd', 15)]);
}

function hashed(mac: string, salt: string, length: number): number[] {
  return Array.from({ length }, (_, i) => spread(fnv1a(`${mac.toLowerCase()} ${salt} ${i}`)) & 0xff);
}

/** FNV-1a of 32 bits (RFC 9923). */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** Lets every bit of the hash reach the lowest byte. */
const spread = (hash: number): number => hash ^ (hash >>> 8) ^ (hash >>> 16) ^ (hash >>> 24);
