#!/usr/bin/env node
import type { Socket } from 'node:net';
import { type Tuple, tupleKey } from './core/handoff/tcp-state.ts';
import { startFeed } from './front/feed.ts';
import { createFitness } from './front/fitness.ts';
import { type Links, listenForAgents } from './front/links.ts';
import { createPorts, serviceName } from './front/ports.ts';
import { createFront, type Service } from './front/serve.ts';
import { frontSpec as spec } from './front-settings.ts';
import type { Taken } from './handoff/exchange.ts';
import { type Gate, openGate } from './handoff/gate.ts';
import { adopt } from './handoff/sockets.ts';
import type { FrontDesired } from './handoff-schema.ts';
import { holdFolder } from './kernel/lock.ts';
import { openServiceManager } from './kernel/service-manager.ts';
import { openSyncSender, type SyncSender } from './kernel/sync-sender.ts';
import { createLog } from './log.ts';
import { explain, onStop } from './program.ts';
import { serve } from './service.ts';
import { parseSettings } from './settings.ts';
import { splitOrigin } from './url-schema.ts';

/** How long a stop waits for answers that are under way. */
const finishMs = 10_000;

async function main(): Promise<void> {
  const manager = openServiceManager(process.env);
  const parsed = parseSettings(spec, process.argv.slice(2), process.env);
  if (!parsed) return;
  const { settings } = parsed;
  const log = createLog(spec.name, settings.logLevel, process.env);
  const stateDir = `${settings.stateDir}/front`;
  holdFolder(stateDir, spec.name);
  const gates = new Set<Gate>();
  /** By tuple: the agent that a connection was given to. */
  const givenTo = new Map<string, string>();
  let desired: FrontDesired = { version: '', ports: [], keys: {} };
  let links: Links | undefined;
  let sender: SyncSender | undefined;
  let rounds = 0;
  let lostBefore = 0;

  const fitness = createFitness({
    changed: (where, isFit) => log.info({ server: where, isFit }, 'a server that clients are sent to has changed'),
  });
  const front = createFront({
    isFit: fitness.isFit,
    services: () => ports.services,
    exchangeOf: (name) => (sender ? links?.exchangeOf(name) : undefined),
    moved: (name, tuple, isGone) => {
      if (isGone) givenTo.set(tupleKey(tuple), name);
      else givenTo.delete(tupleKey(tuple));
    },
    log,
  });

  const admit = (socket: Socket, tuple: Tuple, service: Service, taken?: Pick<Taken, 'read' | 'ended'>) => {
    const over = () => gates.delete(gate);
    const gate = openGate(socket, { server: front.http, tuple, service, ask: front.ask, over, ...taken });
    gates.add(gate);
  };
  const ports = createPorts(admit, log);

  const addressOf = (name: string, vip: string): string | undefined =>
    desired.ports.filter((port) => port.vip === vip).flatMap(({ servers }) => servers).find((one) => one.name === name)
      ?.address; // biome-ignore format: short

  const enter = (tuple: Tuple, destination: string, ended = false) =>
    sender?.enter({ ...tuple, destination, state: ended ? 'time-wait' : 'established', timeout: ended ? 60 : 0 });

  const exchangeWith = (name: string) => ({
    refusal: (tuple: Tuple) =>
      givenTo.get(tupleKey(tuple)) === name && ports.services.has(serviceName(tuple))
        ? undefined
        : 'this connection was not given to you',
    taken: ({ tuple, fd, ...rest }: Taken) => {
      const service = ports.services.get(serviceName(tuple));
      const socket = adopt(fd);
      givenTo.delete(tupleKey(tuple));
      if (!service) return void socket.destroy();
      front.counts.givenBack++;
      admit(socket, tuple, service, rest);
    },
    route: (tuple: Tuple, to: 'here' | 'there') => {
      const destination = to === 'here' ? tuple.vip : addressOf(name, tuple.vip);
      if (destination !== undefined) enter(tuple, destination);
    },
    log: (keys: object, message: string) => log.warn({ agent: name, ...keys }, message),
  });

  const listen = splitOrigin(settings.link ?? '');
  if (listen)
    links = await listenForAgents({
      listen: { host: listen.address, port: listen.port },
      http: front.http,
      exchangeWith,
      told: (name, frame) => {
        if (frame.kind !== 'closed' || givenTo.get(tupleKey(frame)) !== name) return;
        givenTo.delete(tupleKey(frame));
        for (const [path, bytes] of Object.entries(frame.sizes ?? {})) front.sizes.saw(path, bytes);
        const { vip, port, client, clientPort } = frame;
        const destination = addressOf(name, vip);
        // Its FIN may have been seen by this host alone: the entry would stay as established for a quarter of an hour.
        if (destination !== undefined) enter({ vip, port, client, clientPort }, destination, true);
      },
      log,
    });

  const wantsSender = () => links !== undefined && desired.ports.some(({ policy }) => policy.engine === 'handoff');
  const openSender = () => {
    if (sender || !wantsSender()) return;
    try {
      sender = openSyncSender((error) => log.error({ err: error }, 'IPVS cannot be told of connections'));
    } catch (error) {
      log.error({ err: error }, 'nothing can be handed over; the director answers by itself');
    }
  };
  const look = setInterval(() => {
    rounds++;
    if (!sender) return;
    const lost = sender.lost();
    if (lost > lostBefore)
      log.warn({ lost: lost - lostBefore }, 'IPVS has lost messages: raise net.core.rmem_max, and restart dsr-front');
    lostBefore = lost;
  }, 1000);

  const feed = startFeed({
    controller: settings.controller,
    stateDir,
    log,
    changed: (next) => {
      desired = next;
      ports.use(next);
      fitness.use(next.ports);
      links?.use(next.keys);
      openSender();
      rounds++;
      log.info({ ports: next.ports.map(serviceName) }, 'serves');
    },
  });
  const status = () => {
    const { handedOver, kept, passed } = front.counts;
    const [trouble] = ports.troubles();
    const agents = links?.names().length ?? 0;
    return `${ports.services.size} ports, ${agents} agents; ${handedOver} handed over, ${kept} kept, ${passed} passed${trouble ? `; ${trouble}` : ''}`;
  };
  const stopping = serve(manager, { isReady: () => rounds > 0, rounds: () => rounds, status });
  onStop(async (signal) => {
    log.info({ signal, ...front.counts }, 'stopping; connections that were handed over go on');
    stopping('stops; finishes what it is answering');
    clearInterval(look);
    fitness.stop();
    await feed.stop();
    ports.stop();
    for (const gate of gates) gate.finish();
    const end = performance.now() + finishMs;
    while (gates.size > 0 && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 20));
    await links?.close();
    sender?.close();
  });
}

main().catch((error: unknown) => process.exit(explain(spec.name, error)));
