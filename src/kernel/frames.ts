import { toBytes } from '../core/address.ts';
import { ETH_P_ARP, ETH_P_IPV6, IPPROTO_ICMPV6 } from './socket-numbers.ts';

/** Who speaks: Ethernet address as six bytes, IP address as 4 or 16. */
export interface Party {
  mac: Uint8Array;
  address: Uint8Array;
}

/** An ARP packet of IPv4 over Ethernet (RFC 826). */
export interface Arp {
  reply: boolean;
  sender: Party;
  target: Party;
}

const ARP_BYTES = 42;

/** The frame of an ARP packet. */
export function encodeArp({ reply, sender, target }: Arp, to: Uint8Array): Buffer {
  const frame = Buffer.alloc(ARP_BYTES);
  ethernet(frame, to, sender.mac, ETH_P_ARP);
  frame.set(ARP_OF_IPV4, ETHERNET_BYTES);
  frame.writeUInt16BE(reply ? 2 : 1, 20);
  frame.set(sender.mac, 22);
  frame.set(sender.address, 28);
  frame.set(target.mac, 32);
  frame.set(target.address, 38);
  return frame;
}

/** The ARP packet in a frame, or undefined when there is none. */
export function decodeArp(frame: Buffer): Arp | undefined {
  if (frame.length < ARP_BYTES || frame.readUInt16BE(12) !== ETH_P_ARP) return undefined;
  if (!frame.subarray(ETHERNET_BYTES, 20).equals(ARP_OF_IPV4)) return undefined;
  const operation = frame.readUInt16BE(20);
  if (operation !== 1 && operation !== 2) return undefined;
  return {
    reply: operation === 2,
    sender: { mac: frame.subarray(22, 28), address: frame.subarray(28, 32) },
    target: { mac: frame.subarray(32, 38), address: frame.subarray(38, 42) },
  };
}

/** Is anyone there? The question of RFC 5227, 2.1.1: from no address, so that nobody's cache changes. */
export const arpProbe = (mac: Uint8Array, address: Uint8Array): Buffer =>
  encodeArp({ reply: false, sender: { mac, address: new Uint8Array(4) }, target: { mac: NOBODY, address } }, EVERYBODY);

/** It is here now, as request and as reply: switches and hosts differ in which they heed (RFC 5227, 3). */
export function arpAnnouncements(mac: Uint8Array, address: Uint8Array): Buffer[] {
  const sender = { mac, address };
  return [
    encodeArp({ reply: false, sender, target: { mac: NOBODY, address } }, EVERYBODY),
    encodeArp({ reply: true, sender, target: { mac: EVERYBODY, address } }, EVERYBODY),
  ];
}

/** A neighbor solicitation for `address` (RFC 4861, 4.3) from a link-local address, or from :: as in DAD. */
export function solicitation(mac: Uint8Array, source: Uint8Array, address: Uint8Array): Buffer {
  const group = Uint8Array.from(SOLICITED_NODE);
  group.set(address.subarray(13), 13);
  const unspecified = source.every((byte) => byte === 0);
  const body = Buffer.concat([Buffer.alloc(4), address, unspecified ? NOTHING : linkLayer(1, mac)]);
  return icmpv6(SOLICITATION, body, { mac, address: source }, group);
}

/** An unsolicited neighbor advertisement that overrides what others remember (RFC 4861, 7.2.6). */
export function advertisement(mac: Uint8Array, address: Uint8Array): Buffer {
  const flags = Buffer.of(OVERRIDE, 0, 0, 0);
  return icmpv6(ADVERTISEMENT, Buffer.concat([flags, address, linkLayer(2, mac)]), { mac, address }, ALL_NODES);
}

/** Whose address a neighbor advertisement says is at which Ethernet address, or undefined when it is none (RFC 4861, 7.1.2). */
export function decodeAdvertisement(frame: Buffer): Party | undefined {
  if (frame.length < ICMPV6 + 24 || frame.readUInt16BE(12) !== ETH_P_IPV6) return undefined;
  const [nextHeader, hopLimit, type] = [frame[20], frame[21], frame[ICMPV6]];
  if (nextHeader !== IPPROTO_ICMPV6 || hopLimit !== 255 || type !== ADVERTISEMENT) return undefined;
  return { address: frame.subarray(ICMPV6 + 8, ICMPV6 + 24), mac: targetMac(frame) ?? frame.subarray(6, 12) };
}

function targetMac(frame: Buffer): Uint8Array | undefined {
  for (let at = ICMPV6 + 24; at + 8 <= frame.length; ) {
    const length = frame[at + 1]! * 8;
    if (length === 0) return undefined;
    if (frame[at] === 2) return frame.subarray(at + 2, at + 8);
    at += length;
  }
  return undefined;
}

/** Internet checksum of ICMPv6 with its pseudo-header (RFC 4443, 2.3; RFC 8200, 8.1); of a right packet it is 0. */
export function icmpv6Checksum(source: Uint8Array, destination: Uint8Array, payload: Uint8Array): number {
  const tail = Buffer.alloc(8);
  tail.writeUInt32BE(payload.length, 0);
  tail[7] = IPPROTO_ICMPV6;
  const bytes = Buffer.concat([source, destination, tail, payload, Buffer.alloc(payload.length % 2)]);
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += bytes.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** A frame with an ICMPv6 message to a multicast group (RFC 2464, 7). */
function icmpv6(type: number, body: Buffer, from: Party, group: Uint8Array): Buffer {
  const payload = Buffer.concat([Buffer.of(type, 0, 0, 0), body]);
  payload.writeUInt16BE(icmpv6Checksum(from.address, group, payload), 2);
  const frame = Buffer.alloc(ICMPV6 + payload.length);
  ethernet(frame, Uint8Array.of(0x33, 0x33, ...group.subarray(12)), from.mac, ETH_P_IPV6);
  frame[14] = 6 << 4;
  frame.writeUInt16BE(payload.length, 18);
  frame[20] = IPPROTO_ICMPV6;
  frame[21] = 255;
  frame.set(from.address, 22);
  frame.set(group, 38);
  frame.set(payload, ICMPV6);
  return frame;
}

function ethernet(frame: Buffer, to: Uint8Array, from: Uint8Array, type: number): void {
  frame.set(to, 0);
  frame.set(from, 6);
  frame.writeUInt16BE(type, 12);
}

/** Source (1) or target (2) link-layer address option. */
const linkLayer = (type: number, mac: Uint8Array) => Buffer.concat([Buffer.of(type, 1), mac]);

const ETHERNET_BYTES = 14;
/** Where ICMPv6 begins, after an IPv6 header without extensions. */
const ICMPV6 = ETHERNET_BYTES + 40;
const SOLICITATION = 135;
const ADVERTISEMENT = 136;
const OVERRIDE = 0x20;
/** Hardware type Ethernet, protocol IPv4, lengths 6 and 4. */
const ARP_OF_IPV4 = Buffer.of(0, 1, 8, 0, 6, 4);
const NOBODY = new Uint8Array(6);
const EVERYBODY = new Uint8Array(6).fill(0xff);
const NOTHING = Buffer.alloc(0);
const ALL_NODES = toBytes('ff02::1');
const SOLICITED_NODE = toBytes('ff02::1:ff00:0');
