import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { isAddress } from '../core/address.ts';
import { type Tuple, tupleKey } from '../core/handoff/tcp-state.ts';
import type { Frame } from '../handoff-schema.ts';
import * as repair from '../kernel/tcp-repair.ts';
import type { Channel } from './channel.ts';
import type { Unanswered } from './gate.ts';
import { fdOf, startReading, stopReading } from './sockets.ts';

/** A connection that came from the other end of the link. */
export interface Taken extends Unanswered {
  tuple: Tuple;
  fd: number;
}

/** A connection of which the other end had yet to say whose it is; silent until one of these is called. */
export interface Orphan {
  /** It is this end's. */
  goOn(): void;
  /** It is the other end's still. */
  discard(): void;
}

/** Why a connection stays where it is. */
export interface Refused {
  /** In words. */
  reason: string;
  /** It is the other end's, or the link's: the next one would fare no better. */
  isPeers: boolean;
}

export interface ExchangeOptions {
  channel: Pick<Channel, 'send'>;
  /** Why a connection may not be taken; undefined: it may. */
  refusal(tuple: Tuple): string | undefined;
  taken(connection: Taken): void;
  /** Of a connection that was half taken when the link went; without this it is forgotten. */
  orphaned?(orphan: Orphan): void;
  /** Told, before it is so, to which end packets of the connection are to go. */
  route?(tuple: Tuple, to: 'here' | 'there'): void;
  log(keys: object, message: string): void;
}

/** Moves connections over one link, to the other end and from it. */
export interface Exchange {
  /**
   * Offers a connection at a moment when nothing of an answer is under way. Resolves with undefined when the other end
   * has it (the socket is then no longer the caller's), else with why it stays; the client then has noticed nothing but a
   * delay.
   *
   * @param unanswered what came from the client, at the moment when it is asked
   */
  offer(socket: Socket, tuple: Tuple, unanswered: () => Unanswered): Promise<Refused | undefined>;
  /** Whether this end still holds, silently, a connection that it gave away. */
  holds(tuple: Tuple): boolean;
  /** Connections that are half taken: the other end has yet to say whether they are this one's. */
  waiting(): number;
  /** Takes a frame; false when it is none of an exchange. */
  received(frame: Frame): boolean;
  /** The link is gone: nothing more is given or taken. */
  closed(): void;
}

/** An earlier answer's last bytes are acknowledged within a round trip. */
const patience = { everyMs: 5, tries: 30 };
const tookMs = 500;
/** More is not moved: the largest frame has it as base64. */
const mostBytes = 100_000;
/** The kernel takes the entry some milliseconds after it was told. */
const rerouteMs = 20;
/** A socket that was given away is kept so long, to swallow what still comes here: without it the kernel would answer RST. */
const holdMs = 1000;

const own = (reason: string): Refused => ({ reason, isPeers: false });
const peers = (reason: string): Refused => ({ reason, isPeers: true });

export function createExchange({ channel, refusal, taken, orphaned, route, log }: ExchangeOptions): Exchange {
  const offers = new Map<number, (refused: Refused | undefined) => void>();
  const waiting = new Map<number, Taken>();
  const held = new Map<string, () => void>();
  let nextId = 1;
  let isOpen = true;

  async function offer(socket: Socket, tuple: Tuple, unanswered: () => Unanswered): Promise<Refused | undefined> {
    // A link-local one has its interface with it, which means nothing to another host.
    if (!isAddress(tuple.client)) return own(`${tuple.client} is an address of this network alone`);
    for (let tries = 0; ; tries++) {
      const fd = fdOf(socket);
      if (!isOpen) return peers('the link is gone');
      if (fd === undefined) return own('the connection is gone');
      if (socket.writableLength === 0 && socket.readableLength === 0 && repair.unacknowledged(fd) === 0)
        return give(socket, fd, tuple, unanswered);
      if (tries >= patience.tries) return own('an earlier answer is not acknowledged yet');
      await sleep(patience.everyMs);
    }
  }

  async function give(
    socket: Socket,
    fd: number,
    tuple: Tuple,
    unanswered: () => Unanswered,
  ): Promise<Refused | undefined> {
    const id = nextId++;
    stopReading(socket);
    let frozen: repair.Frozen;
    try {
      repair.freeze(fd);
      frozen = repair.dump(fd);
    } catch (error) {
      goOn(socket, fd);
      return own((error as Error).message);
    }
    const { read, ended } = unanswered();
    const bytes = Buffer.concat([read, frozen.unread]);
    if (bytes.length > mostBytes) {
      goOn(socket, fd);
      return own('the client has sent too much ahead');
    }
    const answered = new Promise<Refused | undefined>((resolve) => {
      offers.set(id, resolve);
    });
    route?.(tuple, 'there');
    // Of a connection that was moved before, its socket does not know of the FIN.
    const tcp = { ...frozen.tcp, ended: frozen.tcp.ended || ended };
    channel.send({ kind: 'take', id, ...tuple, tcp, read: bytes.toString('base64') });
    const timer = setTimeout(() => offers.get(id)?.(peers(`no answer within ${tookMs} ms`)), tookMs);
    const refused = await answered;
    clearTimeout(timer);
    offers.delete(id);
    if (refused === undefined) {
      channel.send({ kind: 'go', id });
      // Once more, in case that the first was lost.
      route?.(tuple, 'there');
      hold(socket, fd, tuple, frozen.tcp.receiveNext);
      return undefined;
    }
    channel.send({ kind: 'drop', id });
    route?.(tuple, 'here');
    if (route) await sleep(rerouteMs);
    // Once more, as above.
    route?.(tuple, 'here');
    goOn(socket, fd);
    return refused;
  }

  function goOn(socket: Socket, fd: number): void {
    try {
      repair.thaw(fd);
    } catch {
      socket.destroy();
    }
    startReading(socket);
  }

  function hold(socket: Socket, fd: number, tuple: Tuple, receiveNext: number): void {
    swallow(tuple, () => {
      if (fdOf(socket) === fd && repair.receiveNextOf(fd) !== receiveNext)
        log(tuple, 'something slipped into a connection that was given away');
      socket.destroy();
    });
  }

  /** Keeps a frozen socket for a while; it goes at once when its connection comes back. */
  function swallow(tuple: Tuple, close: () => void): void {
    const key = tupleKey(tuple);
    const end = () => {
      clearTimeout(timer);
      held.delete(key);
      close();
    };
    const timer = setTimeout(end, holdMs);
    held.set(key, end);
  }

  function take(frame: Extract<Frame, { kind: 'take' }>): void {
    const { id, tcp, vip, port, client, clientPort } = frame;
    const tuple = { vip, port, client, clientPort };
    const why = waiting.has(id) ? 'this number is taken' : refusal(tuple);
    if (why !== undefined) {
      channel.send({ kind: 'failed', id, reason: why });
      return;
    }
    held.get(tupleKey(tuple))?.();
    let fd: number;
    try {
      fd = repair.restore(tuple, tcp);
    } catch (error) {
      channel.send({ kind: 'failed', id, reason: (error as Error).message.slice(0, 500) });
      return;
    }
    route?.(tuple, 'here');
    // No timer ends this: for each `took` comes `go` or `drop`, however late, or the link is gone. Until then it is silent.
    waiting.set(id, { tuple, fd, read: Buffer.from(frame.read, 'base64'), ended: tcp.ended });
    channel.send({ kind: 'took', id });
  }

  function go(id: number): void {
    const connection = waiting.get(id);
    waiting.delete(id);
    if (connection) begin(connection);
  }

  function begin(connection: Taken): void {
    try {
      repair.thaw(connection.fd);
    } catch (error) {
      log({ err: error }, 'a connection that was taken cannot go on');
      repair.close(connection.fd);
      return;
    }
    taken(connection);
  }

  function forget(id: number): void {
    const one = waiting.get(id);
    if (!one) return;
    waiting.delete(id);
    route?.(one.tuple, 'there');
    // Until the kernel has heard that, what the client sends still comes here.
    if (route) swallow(one.tuple, () => repair.close(one.fd));
    else repair.close(one.fd);
  }

  return {
    offer,
    waiting: () => waiting.size,
    holds: (tuple) => held.has(tupleKey(tuple)),
    received(frame) {
      if (frame.kind === 'take') take(frame);
      else if (frame.kind === 'took') offers.get(frame.id)?.(undefined);
      else if (frame.kind === 'failed') offers.get(frame.id)?.(peers(frame.reason));
      else if (frame.kind === 'go') go(frame.id);
      else if (frame.kind === 'drop') forget(frame.id);
      else return false;
      return true;
    },
    closed() {
      isOpen = false;
      for (const answer of offers.values()) answer(peers('the link is gone'));
      for (const [id, one] of [...waiting])
        if (orphaned) {
          waiting.delete(id);
          orphaned({ goOn: () => begin(one), discard: () => repair.close(one.fd) });
        } else forget(id);
    },
  };
}
