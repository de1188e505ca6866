#!/usr/bin/env node
import type { Socket } from 'node:net';
import { isAddress } from './core/address.ts';
import type { SyncEntry } from './core/handoff/sync-message.ts';
import { type Tuple, tupleKey } from './core/handoff/tcp-state.ts';
import { startFeed } from './front/feed.ts';
import { createFitness } from './front/fitness.ts';
import { createGiven } from './front/given.ts';
import { type Links, listenForAgents } from './front/links.ts';
import { createPorts, serviceName } from './front/ports.ts';
import { createFront, type Service } from './front/serve.ts';
import { frontSpec as spec } from './front-settings.ts';
import type { Taken } from './handoff/exchange.ts';
import { type Gate, openGate, type Unanswered } from './handoff/gate.ts';
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
/** After messages were lost. */
const restMs = 10_000;
/** How soon it is noticed that IPVS is not told any more; a socket that was given away is held four times as long. */
const lookMs = 250;
const recentMs = 2000;

async function main(): Promise<void> {
  const manager = openServiceManager(process.env);
  const parsed = parseSettings(spec, process.argv.slice(2), process.env);
  if (!parsed) return;
  const { settings } = parsed;
  const log = createLog(spec.name, settings.logLevel, process.env);
  const stateDir = `${settings.stateDir}/front`;
  holdFolder(stateDir, spec.name);
  const gates = new Set<Gate>();
  const given = createGiven();
  let desired: FrontDesired = { version: '', ports: [], keys: {} };
  let links: Links | undefined;
  let sender: SyncSender | undefined;
  let rounds = 0;
  /** By tuple: what IPVS was told of late. */
  const recent = new Map<string, { entry: SyncEntry; at: number }>();
  /** Why nothing can be handed over now. */
  let trouble = '';
  let lostBefore = 0;
  let restsUntil = 0;

  const fitness = createFitness({
    changed: (where, isFit) => log.info({ server: where, isFit }, 'a server that clients are sent to has changed'),
  });
  const front = createFront({
    isFit: fitness.isFit,
    services: () => ports.services,
    exchangeOf: (name) => (sender && performance.now() >= restsUntil ? links?.exchangeOf(name) : undefined),
    connectionsOf: ({ name, isDirector }) => (isDirector ? gates.size : given.count(name)),
    mayAskFor: (socket, { port }, client) => {
      const name = links?.agentOf(socket);
      return isAddress(client) && port.servers.some((server) => server.name === name);
    },
    moved: (name, tuple, isGone) => {
      if (isGone) given.add(tupleKey(tuple), name);
      else given.remove(tupleKey(tuple));
    },
    log,
  });

  const admit = (socket: Socket, tuple: Tuple, service: Service, before?: Unanswered) => {
    const over = () => gates.delete(gate);
    given.remove(tupleKey(tuple));
    const gate = openGate(socket, {
      server: front.http,
      tuple,
      service,
      ask: front.ask,
      over,
      ...(before && { before }),
    });
    gates.add(gate);
  };
  const ports = createPorts(admit, log);

  const addressOf = (name: string, vip: string): string | undefined =>
    desired.ports.filter((port) => port.vip === vip).flatMap(({ servers }) => servers).find((one) => one.name === name)
      ?.address; // biome-ignore format: short

  const enter = (tuple: Tuple, destination: string, ended = false) => {
    const entry: SyncEntry = {
      ...tuple,
      destination,
      state: ended ? 'time-wait' : 'established',
      timeout: ended ? 60 : 0,
    };
    const key = tupleKey(tuple);
    recent.delete(key);
    recent.set(key, { entry, at: performance.now() });
    sender?.enter(entry);
  };
  /** What may not have arrived: sockets that were given away are held long enough for it to come a second time. */
  const enterAgain = () => {
    for (const { entry } of recent.values()) sender?.enter(entry);
  };
  const forgetOld = () => {
    const oldest = performance.now() - recentMs;
    for (const [key, { at }] of recent) {
      if (at >= oldest) return;
      recent.delete(key);
    }
  };

  const exchangeWith = (name: string) => ({
    refusal: (tuple: Tuple) =>
      given.to(tupleKey(tuple)) === name && ports.services.has(serviceName(tuple))
        ? undefined
        : 'this connection was not given to you',
    taken: ({ tuple, fd, ...before }: Taken) => {
      const service = ports.services.get(serviceName(tuple));
      const socket = adopt(fd);
      if (!service) return void socket.destroy();
      front.counts.givenBack++;
      admit(socket, tuple, service, before);
    },
    route: (tuple: Tuple, to: 'here' | 'there') => {
      const destination = to === 'here' ? tuple.vip : addressOf(name, tuple.vip);
      if (destination !== undefined) enter(tuple, destination);
    },
    log: (keys: object, message: string) => log.warn({ agent: name, ...keys }, message),
  });

  const listen = splitOrigin(settings.link ?? '');
  if (listen)
    links = listenForAgents({
      listen: { host: listen.address, port: listen.port },
      http: front.http,
      exchangeWith,
      told: (name, frame) => {
        if (frame.kind !== 'closed' || given.to(tupleKey(frame)) !== name) return;
        given.remove(tupleKey(frame));
        for (const [path, bytes] of Object.entries(frame.sizes ?? {})) front.sizes.saw(path, bytes);
        const { vip, port, client, clientPort } = frame;
        const destination = addressOf(name, vip);
        // Its FIN may have been seen by this host alone: the entry would stay as established for a quarter of an hour.
        if (destination !== undefined) enter({ vip, port, client, clientPort }, destination, true);
      },
      gone: given.forget,
      log,
    });

  const wantsSender = () => links !== undefined && desired.ports.some(({ policy }) => policy.engine === 'handoff');
  const openSender = () => {
    if (sender || !wantsSender()) return;
    try {
      sender = openSyncSender();
      lostBefore = 0;
      if (trouble) log.info({}, 'connections are handed over again');
      trouble = '';
      enterAgain();
    } catch (error) {
      const { message } = error as Error;
      if (message !== trouble)
        log.error({ reason: message }, 'nothing can be handed over; the director answers by itself');
      trouble = message;
    }
  };
  const closeSender = () => {
    try {
      sender?.close();
    } catch (error) {
      log.warn({ err: error }, 'what the sync daemon needed stays');
    }
    sender = undefined;
  };
  const look = setInterval(() => {
    rounds++;
    forgetOld();
    openSender();
    if (!sender) return;
    // A connection that IPVS does not know of would break: better that nothing is handed over.
    const fault = sender.fault();
    if (fault) {
      trouble = fault.message;
      log.error({ reason: trouble }, 'nothing can be handed over; the director answers by itself');
      closeSender();
      openSender();
      return;
    }
    const lost = sender.lost();
    if (lost > lostBefore) {
      log.warn(
        { lost: lost - lostBefore, restMs },
        'IPVS has lost messages, and nothing is handed over for a while: raise net.core.rmem_max, and restart dsr-front',
      );
      restsUntil = performance.now() + restMs;
      enterAgain();
    }
    lostBefore = lost;
  }, lookMs);

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
    const [first] = [...ports.troubles(), links?.trouble() ?? [], trouble || []].flat();
    const agents = links?.names().length ?? 0;
    return `${ports.services.size} ports, ${agents} agents; ${handedOver} handed over, ${kept} kept, ${passed} passed${first ? `; ${first}` : ''}`;
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
    while (gates.size + front.agentsRequests() > 0 && performance.now() < end)
      await new Promise((resolve) => setTimeout(resolve, 20));
    await links?.close();
    closeSender();
  });
}

main().catch((error: unknown) => process.exit(explain(spec.name, error)));
