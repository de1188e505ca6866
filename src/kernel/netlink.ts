import { constants } from 'node:os';
import { Flags, FlagsGet, MessageType } from 'netlink/dist/constants.js';
import { type Writer, writer } from './attributes.ts';
import { type Advice, KernelError, kernelError, malformed, type Refusal } from './errors.ts';
import { type Message, next, readMessage, refusalOf, writeFlags, writeMessage } from './messages.ts';
import type { Wire } from './wire.ts';

/** A question to the kernel. `doing` completes "cannot …" when it is refused. */
export interface Request {
  doing: string;
  type: number;
  /** Besides REQUEST and ACK or DUMP. */
  flags?: number;
  /** What refusals of this request mean. */
  advice?: Advice;
  write: (to: Writer) => void;
}

/** Makes something of one message of an answer, or nothing. It may not keep the buffer. */
type Read<T> = (message: Message) => T | undefined;

/** Requests over one socket; each is answered when its call returns. Every method may throw KernelError. */
export interface Netlink {
  /** One request and what comes back. */
  ask<T>(request: Request, read?: Read<T>): T[];
  /** A whole table; asked again when it changed meanwhile (NLM_F_DUMP_INTR) or did not fit (ENOBUFS). */
  dump<T>(request: Request, read: Read<T>): T[];
  /**
   * One message for each of at most {@link BATCH} items, in one send; answers the refusals by index. An item that
   * `write` throws for is refused as EINVAL and not sent. When answers are lost the items are sent again.
   */
  batch<T>(
    type: number,
    items: readonly T[],
    write: (to: Writer, item: T) => void,
    flags?: number,
  ): (Refusal | undefined)[];
  close(): void;
}

export const BATCH = 128;

// A dump's datagrams have at most 32 KiB (netlink_recvmsg, net/netlink/af_netlink.c), a batch of ours less than 64.
const BUFFER_BYTES = 1 << 16;
const DUMP_ATTEMPTS = 10;
const STALE_DATAGRAMS = 10_000;
const { EAGAIN, EINTR, EINVAL, ENOBUFS } = constants.errno;

/** Speaks netlink over a wire. The kernel answers inside send(), so an answer that is not there by then is lost. */
export function netlinkOver(wire: Wire): Netlink {
  const out = writer(BUFFER_BYTES);
  const into = Buffer.alloc(BUFFER_BYTES);
  let seq = 0;

  /** Appends a message to `out`. A message that `write` throws for takes no number. */
  function put(type: number, flags: number, write: (to: Writer) => void): number {
    const start = writeMessage(out, type, Flags.REQUEST | flags, (seq + 1) >>> 0, write);
    seq = (seq + 1) >>> 0;
    return start;
  }

  /** Sends `out` and hands on what comes back for `first` to the newest request. Any failure leaves a fresh socket. */
  function exchange(doing: string, first: number, each: (message: Message) => void): void {
    try {
      const sent = retried(() => wire.send(out.buffer, out.at));
      if (sent < 0) throw kernelError(doing, { errno: -sent });
      receive(doing, first, each);
    } catch (error) {
      wire.reset();
      throw error;
    }
  }

  function receive(doing: string, first: number, each: (message: Message) => void): void {
    for (let stale = 0; stale < STALE_DATAGRAMS; stale++) {
      const length = retried(() => wire.recv(into));
      if (length <= 0) throw kernelError(doing, { errno: -length || EAGAIN }, lost);
      if (length > into.length) throw malformed(`a datagram of ${length} bytes`);
      for (let at = 0; at < length; ) {
        const message = readMessage(into, at, length);
        at = next(message);
        if ((message.seq - first) >>> 0 > (seq - first) >>> 0) continue;
        stale = 0;
        each(message);
        if (message.seq === seq && isEnd(message)) return;
      }
    }
    throw malformed('answers to other questions only');
  }

  function once<T>(request: Request, flags: number, read?: Read<T>): { found: T[]; interrupted: boolean } {
    const found: T[] = [];
    let interrupted = false;
    let refusal: Refusal | undefined;
    out.at = 0;
    put(request.type, flags | (request.flags ?? 0), request.write);
    exchange(request.doing, seq, (message) => {
      interrupted ||= (message.flags & Flags.DUMP_INTR) !== 0;
      if (isEnd(message)) refusal = refusalOf(message);
      else if (message.type >= FIRST_TYPE) {
        const value = read?.(message);
        if (value !== undefined) found.push(value);
      }
    });
    if (refusal) throw kernelError(request.doing, refusal, request.advice);
    return { found, interrupted };
  }

  function dump<T>(request: Request, read: Read<T>): T[] {
    for (let attempt = 0; attempt < DUMP_ATTEMPTS; attempt++) {
      try {
        const { found, interrupted } = once(request, FlagsGet.DUMP, read);
        if (!interrupted) return found;
      } catch (error) {
        if (!wasLost(error)) throw error;
      }
    }
    throw new KernelError('EAGAIN', `cannot ${request.doing}: it changed ${DUMP_ATTEMPTS} times while it was read`);
  }

  function batch<T>(
    type: number,
    items: readonly T[],
    write: (to: Writer, item: T) => void,
    flags = 0,
  ): (Refusal | undefined)[] {
    const refusals: (Refusal | undefined)[] = items.map(() => undefined);
    const send = (from: number, to: number): void => {
      const sent: number[] = [];
      let start = 0;
      out.at = 0;
      for (let index = from; index < to; index++) {
        try {
          start = put(type, flags, (into) => write(into, items[index]!));
          sent.push(index);
          refusals[index] = undefined;
        } catch (error) {
          refusals[index] = { errno: EINVAL, detail: (error as Error).message };
        }
      }
      if (sent.length === 0) return;
      // A refusal always answers; only the last success needs to, to show that the kernel is through.
      writeFlags(out, start, Flags.REQUEST | Flags.ACK | flags);
      const first = (seq - sent.length + 1) >>> 0;
      try {
        exchange('apply a batch', first, (message) => {
          if (isEnd(message)) refusals[sent[(message.seq - first) >>> 0]!] = refusalOf(message);
        });
      } catch (error) {
        if (!wasLost(error)) throw error;
        if (sent.length === 1) refusals[sent[0]!] = { errno: ENOBUFS };
        else {
          const middle = from + ((to - from) >> 1);
          send(from, middle);
          send(middle, to);
        }
      }
    };
    send(0, items.length);
    return refusals;
  }

  return { ask: (request, read) => once(request, Flags.ACK, read).found, dump, batch, close: () => wire.close() };
}

// Below this number are netlink's own messages (NLMSG_MIN_TYPE).
const FIRST_TYPE = 16;

const isEnd = ({ type }: Message): boolean => type === MessageType.DONE || type === MessageType.ERROR;

const lost = { EAGAIN: 'the answer of the kernel was lost' };

const wasLost = (error: unknown): boolean =>
  error instanceof KernelError && (error.code === 'ENOBUFS' || error.code === 'EAGAIN');

function retried(call: () => number): number {
  let result = call();
  while (result === -EINTR) result = call();
  return result;
}
