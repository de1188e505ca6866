import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Tuple } from '../../src/core/handoff/tcp-state.ts';
import type { RequestHead } from '../../src/core/url/request.ts';
import type { ExchangeOptions, Orphan, Taken } from '../../src/handoff/exchange.ts';
import { webServer } from '../../src/handoff/forward.ts';
import { type Gate, openGate } from '../../src/handoff/gate.ts';
import { adopt } from '../../src/handoff/sockets.ts';
import type { AgentDesired } from '../../src/schema.ts';
import { splitOrigin } from '../../src/url-schema.ts';
import { createAnswers, directorBehind, isOwn, type Service } from './answer.ts';
import { type FrontAt, keepLink, type Link } from './link.ts';
import { openTarPit, type TarPit } from './tar-pit.ts';

/** Takes connections that the front hands over, and answers them. */
export interface Taker {
  /** Makes it so for what is wanted now, and answers what is wrong, in words. */
  follow(desired: Pick<AgentDesired, 'handoff' | 'probers'>): string[];
  /** Takes nothing more; resolves when what was taken is answered, or after `withinMs`. */
  stop(withinMs: number): Promise<void>;
}

export interface TakerOptions {
  /** Of this agent. */
  name: string;
  /** Where the front listens for agents. */
  front: { host: string; port: number };
  /** Folder of files to send; or "address:port" of the web server of this host that answers. */
  root: string | undefined;
  server: string | undefined;
  log: Record<'info' | 'warn', (keys: object, message: string) => void>;
}

/** A front that was killed is there again within it. */
const orphanMs = 10_000;

interface Open {
  service: Service;
  tarPit?: TarPit;
  trouble?: string;
}

export function createTaker({ name, front, root, server, log }: TakerOptions): Taker {
  const open = new Map<string, Open>();
  const gates = new Map<Gate, Service>();
  let probers: readonly string[] = [];
  let key: string | undefined;
  let link: Link | undefined;
  let stopping = false;
  /** The front that the link leads to, and connections that were half taken when a link went, by when and from whom. */
  let instance = '';
  let orphans: { orphan: Orphan; of: string; timer: NodeJS.Timeout }[] = [];

  const frontAt = (): FrontAt | undefined => (key === undefined ? undefined : { ...front, name, key });
  const origin = splitOrigin(server ?? '');
  const answers = createAnswers({
    root,
    server: origin && webServer(origin.address, origin.port),
    director: directorBehind(frontAt),
    log,
  });

  function serve(socket: Socket, tuple: Tuple, service: Service, taken?: Taken): void {
    let isGivenBack = false;
    const gate = openGate(socket, {
      server: answers.http,
      tuple,
      service,
      ...(taken && { before: { read: taken.read, ended: taken.ended } }),
      ask: (head: RequestHead, _, unanswered) => {
        const exchange = link?.exchange();
        if (service.isProbed || service.policy.handoff?.keepAlive !== 'hand-back' || isOwn(head, service) || !exchange)
          return undefined;
        return exchange.offer(socket, tuple, unanswered).then((refused) => {
          isGivenBack = refused === undefined;
          return isGivenBack;
        });
      },
      over: () => {
        gates.delete(gate);
        const sizes = answers.sizesOf(tuple);
        if (taken && !isGivenBack) link?.send({ kind: 'closed', ...tuple, ...(sizes && { sizes }) });
      },
    });
    gates.set(gate, service);
    if (stopping) gate.finish();
  }

  const exchanging: Omit<ExchangeOptions, 'channel'> = {
    refusal: ({ vip, port }) => {
      if (stopping) return 'this agent stops';
      const one = open.get(`${vip} ${port}`);
      if (!one) return 'this port is none of this agent';
      return one.trouble;
    },
    taken: (taken) => {
      const { vip, port } = taken.tuple;
      const one = open.get(`${vip} ${port}`);
      const socket = adopt(taken.fd);
      if (one) serve(socket, taken.tuple, one.service, taken);
      else socket.destroy();
    },
    orphaned(orphan) {
      const timer = setTimeout(() => {
        orphans = orphans.filter((one) => one.orphan !== orphan);
        orphan.discard();
      }, orphanMs);
      orphans.push({ orphan, of: instance, timer });
    },
    log: (keys, message) => log.warn(keys, message),
  };

  /** The same front answers by itself what it did not see taken; if it is another one, the one before can no more. */
  function met(now: string): void {
    instance = now;
    for (const { orphan, of, timer } of orphans.splice(0)) {
      clearTimeout(timer);
      if (of === now || stopping) orphan.discard();
      else orphan.goOn();
    }
  }

  function listen(one: Open): void {
    const { vip, port } = one.service;
    const probed: Service = { ...one.service, isProbed: true };
    try {
      one.tarPit = openTarPit(vip, port, probers, (socket) => {
        const { remoteAddress: client = '', remotePort: clientPort = 0 } = socket;
        serve(socket, { vip, port, client, clientPort }, probed);
      });
      delete one.trouble;
    } catch (error) {
      one.trouble = `hand-off: ${(error as Error).message}`;
    }
  }

  return {
    follow({ handoff, probers: wanted }) {
      if (stopping) return [];
      const isNewProbers = !isDeepStrictEqual(probers, wanted);
      probers = wanted;
      const ports = new Map((handoff?.ports ?? []).map((port) => [`${port.vip} ${port.port}`, port]));
      for (const [id, one] of open)
        if (!ports.has(id)) {
          one.tarPit?.close();
          open.delete(id);
          // What is being answered comes to its end, and no further request: the director could not be asked any more.
          for (const [gate, service] of gates) if (service === one.service) gate.finish();
        }
      for (const [id, { vip, port, policy }] of ports) {
        const one: Open = open.get(id) ?? { service: { vip, port, policy, isProbed: false } };
        one.service.policy = policy;
        open.set(id, one);
        if (!one.tarPit) listen(one);
        else if (isNewProbers) one.tarPit.probers(probers);
      }
      if (handoff?.key !== key) {
        link?.stop();
        link = undefined;
        key = handoff?.key;
      }
      const at = frontAt();
      if (at && !link) link = keepLink(at, exchanging, met, log);
      const missing =
        ports.size > 0 && root === undefined && server === undefined
          ? [
              'hand-off: nothing to answer with: set "handoff.root" (a folder) or "handoff.server" (address:port) of this agent',
            ]
          : [];
      return [...missing, ...[...open.values()].flatMap(({ trouble }) => trouble ?? [])];
    },
    async stop(withinMs) {
      stopping = true;
      for (const gate of gates.keys()) gate.finish();
      const end = performance.now() + withinMs;
      // Those that are half taken count: the front may believe already that they are this agent's.
      while (gates.size + (link?.exchange()?.waiting() ?? 0) > 0 && performance.now() < end) await sleep(20);
      link?.stop();
      for (const { orphan, timer } of orphans.splice(0)) {
        clearTimeout(timer);
        orphan.discard();
      }
      for (const { tarPit } of open.values()) tarPit?.close();
    },
  };
}
