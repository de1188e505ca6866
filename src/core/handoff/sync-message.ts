import { familyOf, fromBytes, toBytes } from '../address.ts';
import type { Tuple } from './tcp-state.ts';

/** An entry of IPVS's table of connections, as one director tells another. */
export interface SyncEntry extends Tuple {
  /** Real server, or the VIP itself for this host. */
  destination: string;
  state: 'established' | 'time-wait';
  /** Seconds; 0: the kernel's own for that state. */
  timeout: number;
}

/** So many IPv4 entries fit a datagram of 1,500 bytes with the headers of IP and UDP; of IPv6 half as many. */
export const syncBytes = 1472;

/**
 * Messages for these entries, each at most {@link syncBytes} long, in the format of the sync daemon's version 1
 * (struct ip_vs_sync_mesg and ip_vs_sync_v4/v6, net/netfilter/ipvs/ip_vs_sync.c); all fields are in network order.
 */
export function encodeSync(syncId: number, entries: readonly SyncEntry[]): Uint8Array[] {
  const messages: Uint8Array[] = [];
  let rest = entries;
  do {
    const bytes = new Uint8Array(syncBytes);
    const view = new DataView(bytes.buffer);
    let at = headerBytes;
    let count = 0;
    for (const entry of rest) {
      if (count === mostInMessage || at + sizeOf(entry) > syncBytes) break;
      writeEntry(bytes, view, at, entry);
      at += sizeOf(entry);
      count++;
    }
    bytes.set([0, syncId], 0);
    view.setUint16(2, at);
    bytes.set([count, version], 4);
    if (count > 0) messages.push(bytes.subarray(0, at));
    rest = rest.slice(count);
  } while (rest.length > 0);
  return messages;
}

/** What a message says; undefined for one that no encoder of this file has made. */
export function decodeSync(bytes: Uint8Array): { syncId: number; entries: SyncEntry[] } | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length < headerBytes || view.getUint16(2) !== bytes.length || bytes[5] !== version) return undefined;
  const entries: SyncEntry[] = [];
  let at = headerBytes;
  for (let left = bytes[4] as number; left > 0; left--) {
    if (at + 4 > bytes.length) return undefined;
    const size = view.getUint16(at + 2) & 0xfff;
    const address = bytes[at] === typeIpv6 ? 16 : 4;
    if (size !== headBytes + 3 * address || at + size > bytes.length) return undefined;
    entries.push(readEntry(view, at, address));
    at += size;
  }
  return at === bytes.length ? { syncId: bytes[1] as number, entries } : undefined;
}

const headerBytes = 8;
const headBytes = 24;
const version = 1;
const typeIpv6 = 1;
const tcp = 6;
/** The count is one byte. */
const mostInMessage = 255;
/** IP_VS_CONN_F_DROUTE and IP_VS_CONN_F_LOCALNODE (linux/ip_vs.h). */
const flags = { gatewaying: 3, local: 1 };
/** IP_VS_TCP_S_ESTABLISHED and IP_VS_TCP_S_TIME_WAIT (net/ip_vs.h). */
const states = { established: 1, 'time-wait': 5 } as const;

const sizeOf = ({ vip }: SyncEntry): number => headBytes + (familyOf(vip) === 'ipv4' ? 12 : 48);

function writeEntry(bytes: Uint8Array, view: DataView, at: number, entry: SyncEntry): void {
  const { vip, port, client, clientPort, destination, state, timeout } = entry;
  const ipv4 = familyOf(vip) === 'ipv4';
  bytes.set([ipv4 ? 0 : typeIpv6, tcp], at);
  view.setUint16(at + 2, sizeOf(entry));
  view.setUint32(at + 4, destination === vip ? flags.local : flags.gatewaying);
  view.setUint16(at + 8, states[state]);
  view.setUint16(at + 10, clientPort);
  view.setUint16(at + 12, port);
  view.setUint16(at + 14, port);
  // No firewall mark: the service is found by VIP and port.
  view.setUint32(at + 16, 0);
  view.setUint32(at + 20, timeout);
  const address = ipv4 ? 4 : 16;
  for (const [index, one] of [client, vip, destination].entries())
    bytes.set(toBytes(one), at + headBytes + index * address);
}

function readEntry(view: DataView, at: number, address: number): SyncEntry {
  const text = (index: number) =>
    fromBytes(new Uint8Array(view.buffer, view.byteOffset + at + headBytes + index * address, address));
  return {
    client: text(0),
    clientPort: view.getUint16(at + 10),
    vip: text(1),
    port: view.getUint16(at + 12),
    destination: text(2),
    state: view.getUint16(at + 8) === states.established ? 'established' : 'time-wait',
    timeout: view.getUint32(at + 20),
  };
}
