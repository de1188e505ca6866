#!/usr/bin/env node
import { getServers } from 'node:dns/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { pino } from 'pino';
import { canonical } from '../src/core/address.ts';
import { commandOf } from '../src/core/steps.ts';
import { holdFolder } from '../src/kernel/lock.ts';
import { openKernel } from '../src/kernel/open.ts';
import { createSignal, startLoop } from '../src/loop.ts';
import { explain, onStop } from '../src/program.ts';
import type { Report } from '../src/schema.ts';
import { parseSettings } from '../src/settings.ts';
import { connectController } from './controller-client.ts';
import { type HostOptions, type HostPass, reconcileHost, teardownHost } from './host.ts';
import { controllerAddresses, machineId, refuseOnDirector } from './identity.ts';
import { openMemory } from './memory.ts';
import { agentSpec as spec } from './settings.ts';

const lookMs = 500;
const reportMs = 1000;

async function main(): Promise<void> {
  const parsed = parseSettings(spec, process.argv.slice(2), process.env);
  if (!parsed) return;
  const { settings, command } = parsed;
  const log = pino({ name: spec.name, level: settings.logLevel });
  let controllerIs = await controllerAddresses(settings.controller);
  refuseOnDirector(controllerIs);
  holdFolder(settings.stateDir, spec.name);
  const memory = openMemory(settings.stateDir);
  const kernel = await openKernel({ ipvs: false });
  const id = machineId(settings.stateDir);
  const controller = connectController(settings.controller, settings.name, settings.token);
  const options: HostOptions = {
    kernel,
    memory,
    interface: settings.interface,
    allowedVips: settings.allowedVips,
    reserved: () =>
      new Map([
        ...getServers().map((server) => [canonical(server.replace(/^\[|\]:\d+$/g, '')), 'DNS server'] as const),
        ...kernel.gateways().map((gateway) => [gateway, 'gateway'] as const),
        ...controllerIs.map((address) => [address, "director's controller"] as const),
      ]),
  };
  const reportOf = (pass: Omit<HostPass, 'steps'>): Report => ({
    protocol: 1,
    machineId: id,
    bootId: kernel.bootId(),
    revision: pass.revision,
    addresses: pass.addresses,
    vips: pass.vips,
    problems: pass.problems.slice(0, 100).map((problem) => problem.slice(0, 500)),
  });

  if (command === 'teardown') {
    const { revision, addresses } = {
      revision: memory.get().desired.revision,
      addresses: kernel.addresses().map(({ address }) => address),
    };
    // The director stops sending before the VIP goes; where it cannot be told, the host is put back all the same.
    await controller
      .report(reportOf({ revision, addresses, vips: {}, problems: ['this agent is being torn down'] }))
      .catch(() => {});
    await teardownHost(options, (line) => process.stdout.write(`${line}\n`));
    await controller.close();
    kernel.close();
    return;
  }

  const ending = new AbortController();
  const passed = createSignal();
  let last: HostPass | undefined;
  const host = startLoop(
    async () => {
      const pass = await reconcileHost(options);
      if (pass.steps.length > 0) log.info({ steps: pass.steps.map(commandOf) }, 'applied');
      if (!isDeepStrictEqual(pass.problems, last?.problems ?? []))
        log.warn({ problems: pass.problems }, 'problems of this host');
      const changed = !isDeepStrictEqual({ ...pass, steps: [] }, { ...last, steps: [] });
      last = pass;
      if (changed) passed.notify();
      return lookMs;
    },
    (error, again) => {
      if (!again) log.error({ err: error }, 'reconcile failed, trying again');
    },
  );
  const watch = kernel.watch(host.wake);
  host.wake();

  let reachable: boolean | undefined;
  const reached = (error?: Error) => {
    if (error && reachable !== false)
      log.warn({ reason: error.message }, 'the controller cannot be reached; this host stays as it is');
    if (!error && reachable === false) log.info('the controller is reached again');
    reachable = !error;
  };

  const poll = async () => {
    let known: number | undefined;
    while (!ending.signal.aborted) {
      try {
        const desired = await controller.desired(known, ending.signal);
        reached();
        if (!isDeepStrictEqual(desired, memory.get().desired)) await memory.change((now) => ({ ...now, desired }));
        if (known === undefined || desired.revision !== known) host.wake();
        known = desired.revision;
      } catch (error) {
        if (ending.signal.aborted) return;
        reached(error as Error);
        controllerIs = await controllerAddresses(settings.controller);
        await sleep(500 + Math.random() * 1000, undefined, { signal: ending.signal }).catch(() => {});
      }
    }
  };

  const report = async () => {
    let sent: Report | undefined;
    let problem = '';
    while (!ending.signal.aborted) {
      if (last) {
        const next = reportOf(last);
        const told = await controller.report(next).then(
          () => '',
          (error: Error) => error.message,
        );
        if (told && told !== problem) log.warn({ reason: told }, 'the report was not taken');
        problem = told;
        sent = next;
      }
      // A change while the report was under way is sent at once.
      if (!last || isDeepStrictEqual(sent, reportOf(last)) || problem) await passed.next(reportMs, ending.signal);
    }
  };

  onStop(async (signal) => {
    log.info({ signal }, 'stopping; this host stays as it is');
    ending.abort();
    watch.close();
    await host.stop();
    await controller.close();
    kernel.close();
  });
  await Promise.all([poll(), report()]);
}

main().catch((error: unknown) => process.exit(explain(spec.name, error)));
