import type { Socket } from 'node:net';
import type { Check } from '../check-schema.ts';
import type { Outcome } from '../core/health.ts';

/** How a probe reaches its real server: connections to the VIP that go to this one server. */
export interface Open {
  /**
   * A connection to the VIP's `port`. Rejects with an error that has `code` (ECONNREFUSED, EHOSTUNREACH, ETIMEDOUT …),
   * or with the signal's reason.
   */
  stream(port: number, signal: AbortSignal): Promise<Socket>;
  /** A connected UDP socket; a refusal by ICMP comes as an error. */
  datagram(port: number): Datagram;
  /** A connected, blocking socket as a file descriptor, to give to another program; the caller closes it. */
  descriptor(port: number, protocol: 'tcp' | 'udp', signal: AbortSignal): Promise<number>;
}

export interface Datagram {
  send(bytes: Uint8Array): void;
  /** The next datagram. Rejects with an error that has `code`, or with the signal's reason. */
  receive(signal: AbortSignal): Promise<Uint8Array>;
  close(): void;
}

/** What one probe is about. */
export interface Probe<C extends Check = Check> {
  vip: string;
  /** Where it goes: `check.port`, or the balanced port. */
  port: number;
  /** Protocol of the balanced port. */
  protocol: 'tcp' | 'udp';
  check: C;
  open: Open;
  /** Aborted when the time is over. */
  signal: AbortSignal;
  /** Programs of `exec` checks: absolute path and arguments by name. */
  programs: Readonly<Record<string, readonly string[]>>;
}

/** Makes one probe of a kind. May throw: what a connection or the signal rejected with. */
export type Kind<C extends Check = Check> = (probe: Probe<C>) => Promise<Outcome>;
