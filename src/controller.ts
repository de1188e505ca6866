#!/usr/bin/env node
import type { Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Server as TlsServer } from 'node:tls';
import { type Logger, pino } from 'pino';
import type { z } from 'zod';
import { buildApi } from './api/app.ts';
import type { Api } from './api/context.ts';
import type { Trust } from './api/guard.ts';
import { openRootSocket } from './api/root-socket.ts';
import { createHealthBook } from './check/health-book.ts';
import { startProber } from './check/prober.ts';
import { isLoopback, parseListen, controllerSpec as spec } from './controller-settings.ts';
import { hostPrefix, isUnspecified, notUnicast, withPort } from './core/address.ts';
import { poolsOf } from './core/state.ts';
import { examine, examineDirector } from './director/doctor.ts';
import { connectLocally } from './director/local-check.ts';
import { startDirector } from './director/reconcile.ts';
import { teardown } from './director/teardown.ts';
import { startTraffic } from './director/traffic.ts';
import { startWitness, vipsHeld } from './director/witness.ts';
import { tellFindings } from './doctor-report.ts';
import { CodedError } from './errors.ts';
import type { Kernel } from './kernel/kernel.ts';
import { holdFolder } from './kernel/lock.ts';
import { openKernel } from './kernel/open.ts';
import { createSignal } from './loop.ts';
import { explain, onStop } from './program.ts';
import { parseSettings, version } from './settings.ts';
import { createAgentRegistry } from './store/agents.ts';
import { openAudit } from './store/audit.ts';
import { createEvents } from './store/events.ts';
import { openAgents, openEvents, openState } from './store/state.ts';
import { openKeys, openTlsKeys } from './trust/open.ts';
import { namesOfHost, openServerIdentity, type ServerIdentity } from './trust/server-identity.ts';
import { startWebhooks } from './webhooks.ts';

type Settings = z.infer<typeof spec.settings>;

const listenAddress = (text: string) => parseListen(text) ?? { host: '127.0.0.1', port: 7100 };

/** Listens; an address that the host does not have yet is waited for, since traffic does not depend on the API. */
async function listen(
  api: Api,
  address: { host: string; port: number },
  log: Logger,
  ending: AbortSignal,
): Promise<void> {
  const where = withPort(address.host, address.port);
  for (let tries = 0; !ending.aborted; tries++) {
    try {
      await api.listen(address);
      return;
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === 'EADDRINUSE')
        throw new CodedError(
          'LISTEN',
          `listen: ${where} is in use by another program; stop it, or choose another port`,
        );
      if (code !== 'EADDRNOTAVAIL') throw new CodedError('LISTEN', `listen: ${where}: ${message}`);
      if (tries === 0)
        log.warn({ listen: where }, 'this host does not have the address to listen on yet: waiting for it');
      await sleep(1000, undefined, { signal: ending }).catch(() => {});
    }
  }
}

/** Who may do what, and as whom this host shows itself; the latter only beyond loopback. */
async function openTrust(settings: Settings, host: string, kernel: Kernel, log: Logger) {
  const { stateDir } = settings;
  const roots = new WeakSet<Socket>();
  const failed = (error: Error) => log.error({ err: error }, 'a change of the tokens could not be saved');
  const trust: Trust = {
    keys: await openKeys(stateDir, failed),
    audit: openAudit({
      path: join(stateDir, 'audit.log'),
      failed: (error) => log.error({ err: error }, 'the audit log cannot be written'),
    }),
    isRoots: (socket) => roots.has(socket),
  };
  const came = (socket: Socket) => void roots.add(socket);
  if (isLoopback(host)) return { trust, came, identity: undefined, reach: undefined };
  const names = () => namesOfHost(host, settings.tlsNames);
  const identity = await openServerIdentity(openTlsKeys(stateDir), names);
  const { authority, fingerprint } = identity;
  const { port } = listenAddress(settings.listen);
  const addresses = () => (isUnspecified(host) ? ownAddresses(kernel, settings.interface) : [host]);
  const urls = () => addresses().map((address) => `https://${withPort(address, port)}`);
  return { trust, came, identity, reach: { urls, authority, fingerprint } };
}

/** Of the interface; no VIP, which are host addresses (/32, /128). */
const ownAddresses = (kernel: Kernel, name: string) =>
  kernel
    .addresses()
    .filter((own) => own.interface === name && own.prefix !== hostPrefix(own.address) && !notUnicast(own.address))
    .map(({ address }) => address);

/** Traffic and the API on its address do not depend on it, so that it is only told where it cannot be. */
async function openForRoot(api: Api, path: string, came: (socket: Socket) => void, log: Logger) {
  if (path === '') return undefined;
  return openRootSocket(api, path, came).catch((error: Error) => {
    log.warn({ socket: path, reason: error.message }, 'no socket for root: dsrctl on this host needs a token');
    return undefined;
  });
}

/** A certificate that ends soon, or lacks an address that came later, is made anew while connections go on. */
function keepFresh(identity: ServerIdentity, api: Api, log: Logger): NodeJS.Timeout {
  const look = async () => {
    if (!(await identity.refresh())) return;
    (api.server as unknown as TlsServer).setSecureContext(identity.current());
    log.info({}, 'a new certificate was made');
  };
  const failed = (error: Error) => log.error({ err: error }, 'a new certificate could not be made');
  return setInterval(() => look().catch(failed), refreshMs);
}

const refreshMs = 60_000;

async function main(): Promise<void> {
  const parsed = parseSettings(spec, process.argv.slice(2), process.env);
  if (!parsed) return;
  const { settings, command, options } = parsed;
  const log = pino({ name: spec.name, level: settings.logLevel });
  if (command !== 'doctor') holdFolder(settings.stateDir, spec.name);
  const stateChanged = createSignal();
  const state = openState(settings.stateDir, stateChanged.notify);
  const knownAgents = openAgents(settings.stateDir);
  const kernel = await openKernel({ ipvs: true });
  if (command === 'teardown') {
    await teardown(kernel, state, settings.interface, (line) => process.stdout.write(`${line}\n`));
    kernel.close();
    return;
  }
  if (command === 'doctor') {
    const services = await kernel.services();
    const pools = poolsOf(state.get());
    const findings = await examineDirector({ kernel, interface: settings.interface }, { pools, services });
    process.exitCode = await tellFindings(findings, options.has('fix') ? kernel : undefined);
    kernel.close();
    return;
  }
  const events = createEvents(openEvents(settings.stateDir), ({ message, type, time: _, ...about }) =>
    log.info({ event: type, ...about }, message),
  );
  const agents = createAgentRegistry(knownAgents, events, () => director.wake());
  const probers = settings.probe.address.map((address) => ({ address, prefix: hostPrefix(address) }));
  const prober = startProber({
    interface: settings.interface,
    link: settings.probe.link,
    addresses: probers,
    programs: settings.programs,
    log,
  });
  const health = createHealthBook(prober, probers, () => director.wake());
  const director = startDirector({
    kernel,
    state,
    agents: agents.all,
    health,
    connect: connectLocally,
    events,
    interface: settings.interface,
    manageVip: settings.manageVip,
    log,
  });
  const traffic = startTraffic({ kernel, interface: settings.interface, speedMbit: settings.speedMbit, log });
  const witness = startWitness({
    kernel,
    interface: settings.interface,
    vips: () => vipsHeld(director),
    names: traffic.names,
    events,
    log,
  });
  const where = listenAddress(settings.listen);
  const secret = settings.insecure ? undefined : await openTrust(settings, where.host, kernel, log);
  const api = await buildApi(
    {
      state,
      stateChanged,
      agents,
      events,
      director,
      health,
      traffic,
      witness,
      examine: (patient) => examine({ kernel, interface: settings.interface, connect: connectLocally }, patient),
      trust: secret?.trust,
      reach: secret?.reach,
      version: version(),
      interface: settings.interface,
      manageVip: settings.manageVip,
    },
    log,
    secret?.identity?.current(),
  );
  const webhooks = startWebhooks({ webhooks: settings.webhooks, events, log });
  const ending = new AbortController();
  const rootSocket = secret && (await openForRoot(api, settings.socket, secret.came, log));
  const renewing = secret?.identity && keepFresh(secret.identity, api, log);
  onStop(async (signal) => {
    log.info({ signal }, 'stopping; the kernel goes on forwarding');
    ending.abort();
    clearInterval(renewing);
    rootSocket?.close();
    await api.close();
    await director.stop();
    await witness.stop();
    await traffic.stop();
    await prober.stop();
    await webhooks.stop();
    await events.stop();
    await secret?.trust.audit.stop();
    kernel.close();
  });
  if (!networkInterfaces()[settings.interface])
    log.warn({ interface: settings.interface }, 'no such interface with an address yet: it is waited for');
  await listen(api, where, log, ending.signal);
}

main().catch((error: unknown) => process.exit(explain(spec.name, error)));
