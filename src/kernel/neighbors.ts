import { setTimeout } from 'node:timers/promises';
import { familyOf, toBytes } from '../core/address.ts';
import type { ActualAddress, Link } from '../core/kernel-state.ts';
import type { Claim } from '../core/witness.ts';
import { KernelError, kernelError } from './errors.ts';
import * as frames from './frames.ts';
import * as libc from './libc.ts';
import { openPacketSocket } from './packet-socket.ts';
import { macText } from './rt-decode.ts';
import type { Instruction } from './socket-filter.ts';
import { ETH_P_ARP, ETH_P_IPV6 } from './socket-numbers.ts';

const PROBES = 3;
const PROBE_MS = 100;
const ANNOUNCEMENTS = 3;

/** What this host is on the wire. */
export interface Host {
  links: readonly Link[];
  addresses: readonly ActualAddress[];
}

/**
 * Ethernet address of another host that answers for `address` there, or undefined after 300 ms without an answer, and at
 * once where nobody speaks ARP. Throws KernelError: ENODEV, ENETDOWN, EPERM.
 */
export async function whoHas(address: string, interfaceName: string, host: Host): Promise<string | undefined> {
  const link = speaker(host.links, interfaceName, `ask who has ${address}`);
  if (!link) return undefined;
  const question = familyOf(address) === 'ipv4' ? arpQuestion(address, link) : neighborQuestion(address, link, host);
  const ours = new Set(host.links.map(({ mac }) => mac));
  const fd = openPacketSocket(link.index, question.etherType, question.filter);
  const stop = new AbortController();
  let answer: string | undefined;
  const reader = libc.onReadable(fd, () => {
    answer ??= readAnswer(fd, (frame) => {
      const mac = question.answer(frame);
      return mac !== undefined && !ours.has(mac) ? mac : undefined;
    });
    if (answer !== undefined) stop.abort();
  });
  try {
    for (let probe = 0; probe < PROBES && answer === undefined; probe++) {
      sendFrame(fd, question.frame, `ask who has ${address} on ${interfaceName}`);
      await setTimeout(PROBE_MS, undefined, { signal: stop.signal }).catch(() => {});
    }
    return answer;
  } finally {
    reader.close();
    libc.close(fd);
  }
}

/**
 * All other hosts that answer for any of `addresses` there within 300 ms, each once; none where nobody speaks ARP. With
 * `full` the questions fill frames to the MTU: nobody answers one that is lost for its size. Throws KernelError: ENODEV,
 * ENETDOWN, EPERM.
 */
export async function whoClaims(
  addresses: readonly string[],
  interfaceName: string,
  host: Host,
  full = false,
): Promise<Claim[]> {
  const doing = `ask who has ${addresses.length === 1 ? addresses[0] : `${addresses.length} VIPs`} on ${interfaceName}`;
  const link = speaker(host.links, interfaceName, doing);
  if (!link || addresses.length === 0) return [];
  const ours = new Set(host.links.map(({ mac }) => mac));
  const claims = new Map<string, Claim>();
  const sockets: { fd: number; reader: { close(): void }; frames: Buffer[] }[] = [];
  try {
    for (const family of ['ipv4', 'ipv6'] as const) {
      const questions = addresses
        .filter((address) => familyOf(address) === family)
        .map((address) => ({
          address,
          ...(family === 'ipv4' ? arpQuestion(address, link) : neighborQuestion(address, link, host)),
        }));
      const [first] = questions;
      if (!first) continue;
      const fd = openPacketSocket(link.index, first.etherType, first.filter);
      const take = (frame: Buffer): undefined => {
        for (const { address, answer } of questions) {
          const mac = answer(frame);
          if (mac !== undefined && !ours.has(mac)) claims.set(`${address} ${mac}`, { address, mac });
        }
      };
      sockets.push({
        fd,
        reader: libc.onReadable(fd, () => readAnswer(fd, take)),
        frames: questions.map(({ frame }) => (full ? padded(frame, link.mtu + ETHERNET_BYTES) : frame)),
      });
    }
    for (let probe = 0; probe < PROBES; probe++) {
      // One may be lost; who has answered is known.
      if (probe < 2) for (const { fd, frames } of sockets) for (const frame of frames) sendFrame(fd, frame, doing);
      await setTimeout(PROBE_MS);
    }
    return [...claims.values()];
  } finally {
    for (const { fd, reader } of sockets) {
      reader.close();
      libc.close(fd);
    }
  }
}

/** Tells the others on the link that `address` is here; does nothing where nobody speaks ARP. Throws KernelError. */
export function announce(address: string, interfaceName: string, links: readonly Link[]): void {
  const doing = `announce ${address} on ${interfaceName}`;
  const link = speaker(links, interfaceName, doing);
  if (!link) return;
  const ipv4 = familyOf(address) === 'ipv4';
  const mac = macBytes(link.mac);
  const bytes = toBytes(address);
  const all = ipv4 ? frames.arpAnnouncements(mac, bytes) : [frames.advertisement(mac, bytes)];
  const fd = openPacketSocket(link.index, ipv4 ? ETH_P_ARP : ETH_P_IPV6);
  try {
    for (let round = 0; round < ANNOUNCEMENTS; round++) for (const frame of all) sendFrame(fd, frame, doing);
  } finally {
    libc.close(fd);
  }
}

interface Question {
  frame: Buffer;
  etherType: number;
  filter?: readonly Instruction[];
  /** Ethernet address that this frame answers with, or undefined when it is no answer. */
  answer: (frame: Buffer) => string | undefined;
}

function arpQuestion(address: string, link: Link): Question {
  const bytes = toBytes(address);
  return {
    frame: frames.arpProbe(macBytes(link.mac), bytes),
    etherType: ETH_P_ARP,
    answer: (frame) => {
      const sender = frames.decodeArp(frame)?.sender;
      return sender && Buffer.compare(sender.address, bytes) === 0 ? macText(sender.mac) : undefined;
    },
  };
}

/** Asks from a link-local address where there is one: a question from :: would end another host's DAD (RFC 4862, 5.4.3). */
function neighborQuestion(address: string, link: Link, { addresses }: Host): Question {
  const bytes = toBytes(address);
  const own = addresses.find((a) => a.interface === link.name && a.address.startsWith('fe80:') && !a.tentative);
  return {
    frame: frames.solicitation(macBytes(link.mac), toBytes(own?.address ?? '::'), bytes),
    etherType: ETH_P_IPV6,
    filter: advertisementsOnly,
    answer: (frame) => {
      const party = frames.decodeAdvertisement(frame);
      return party && Buffer.compare(party.address, bytes) === 0 ? macText(party.mac) : undefined;
    },
  };
}

// Load byte, jump if equal, return (linux/bpf_common.h): next header ICMPv6, type neighbor advertisement.
const advertisementsOnly: readonly Instruction[] = [
  [0x30, 0, 0, 20],
  [0x15, 0, 3, 58],
  [0x30, 0, 0, 54],
  [0x15, 0, 1, 136],
  [0x06, 0, 0, 0xffff],
  [0x06, 0, 0, 0],
];

/** The interface, or undefined where nobody speaks ARP. Throws KernelError ENODEV or ENETDOWN. */
function speaker(links: readonly Link[], name: string, doing: string): Link | undefined {
  const link = links.find((link) => link.name === name);
  if (!link) throw new KernelError('ENODEV', `cannot ${doing}: there is no interface ${name}`);
  if (!link.arp || link.mac === '') return undefined;
  if (!link.up)
    throw new KernelError('ENETDOWN', `cannot ${doing}: ${name} is down; bring it up with \`ip link set ${name} up\``);
  return link;
}

function sendFrame(fd: number, frame: Buffer, doing: string): void {
  const sent = libc.send(fd, frame);
  if (sent < 0) throw kernelError(doing, { errno: -sent });
}

/** Reads frames until one gives an answer or none is left. */
function readAnswer(fd: number, answer: (frame: Buffer) => string | undefined): string | undefined {
  const buffer = Buffer.alloc(FRAME_BYTES);
  for (let length = libc.recv(fd, buffer); length >= 0; length = libc.recv(fd, buffer)) {
    const found = answer(buffer.subarray(0, Math.min(length, FRAME_BYTES)));
    if (found !== undefined) return found;
  }
  return undefined;
}

/** What follows the question is passed over (RFC 826; RFC 8200, 3: Payload Length). */
function padded(frame: Buffer, bytes: number): Buffer {
  return Buffer.concat([frame, Buffer.alloc(Math.max(0, bytes - frame.length))]);
}

const ETHERNET_BYTES = 14;
const FRAME_BYTES = 256;

const macBytes = (mac: string): Uint8Array => Buffer.from(mac.replaceAll(':', ''), 'hex');
