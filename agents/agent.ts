#!/usr/bin/env node
import { tellFindings } from '../src/doctor-report.ts';
import { CodedError } from '../src/errors.ts';
import { holdFolder } from '../src/kernel/lock.ts';
import { openKernel } from '../src/kernel/open.ts';
import { openServiceManager } from '../src/kernel/service-manager.ts';
import { createLog } from '../src/log.ts';
import { explain, onStop } from '../src/program.ts';
import { serve } from '../src/service.ts';
import { parseSettings } from '../src/settings.ts';
import { connectController } from './controller-client.ts';
import { openCredentials } from './credentials.ts';
import { examineAlone } from './doctor.ts';
import { createEdge } from './edge.ts';
import { createTaker } from './handoff/taker.ts';
import { type HostOptions, teardownHost } from './host.ts';
import { controllerAddresses, machineId, nameServers, refuseOnDirector } from './identity.ts';
import { join } from './join.ts';
import { openMemory } from './memory.ts';
import { reportOf, startAgent } from './run.ts';
import { agentSpec as spec } from './settings.ts';
import { hostIsStopping } from './shutdown.ts';

/** Of a shutdown, beside the drain: the last words to the controller. */
const leaveMs = 10_000;

async function main(): Promise<void> {
  if (process.argv[2] === 'join') {
    const told = await join(process.argv.slice(3), process.env);
    if (told) process.stdout.write(`${told}\n`);
    return;
  }
  const manager = openServiceManager(process.env);
  const parsed = parseSettings(spec, process.argv.slice(2), process.env);
  if (!parsed) return;
  const { settings, command, options } = parsed;
  const log = createLog(spec.name, settings.logLevel, process.env);
  if (command === 'join')
    throw new CodedError('BAD_SETTING', 'write "join" first: dsr-agent join URL --token … --ca-sha256 …', 2);
  if (command === 'doctor') {
    const kernel = openKernel({ ipvs: false });
    const findings = await examineAlone(kernel, settings, openMemory(settings.stateDir).get());
    process.exitCode = await tellFindings(findings, options.has('fix') ? kernel : undefined);
    kernel.close();
    return;
  }
  let controllerIs = await controllerAddresses(settings.controller);
  refuseOnDirector(controllerIs);
  holdFolder(settings.stateDir, spec.name);
  const memory = openMemory(settings.stateDir);
  const kernel = openKernel({ ipvs: false });
  const id = machineId(settings.stateDir);
  const credentials = openCredentials({
    stateDir: settings.stateDir,
    token: settings.token,
    isSecure: settings.controller.startsWith('https:'),
    failed: (error) => log.error({ reason: error.message }, 'without a token the controller lets nobody in'),
  });
  const controller = connectController(settings.controller, settings.name, credentials, id);
  const host: HostOptions = {
    kernel,
    memory,
    interface: settings.interface,
    allowedVips: settings.allowedVips,
    reserved: () =>
      new Map([
        ...nameServers().map((server) => [server, 'DNS server'] as const),
        ...kernel.gateways().map((gateway) => [gateway, 'gateway'] as const),
        ...controllerIs.map((address) => [address, "director's controller"] as const),
      ]),
  };

  const { root } = settings.edge;
  const edge = createEdge({
    settings: root === undefined ? undefined : { ...settings.edge, root },
    stateDir: settings.stateDir,
    controllerAddresses: () => controllerIs,
    log: (keys, message) => log.info(keys, message),
  });

  if (command === 'teardown') {
    const { revision } = memory.get().desired;
    const addresses = kernel.addresses().map(({ address }) => address);
    const problems = ['this agent is being torn down'];
    // The director stops sending before the VIP goes; where it cannot be told, the host is put back all the same.
    await controller
      .report(
        reportOf(id, kernel.bootId(), {
          revision,
          addresses,
          vips: {},
          problems,
          interface: undefined,
          repliesBy: undefined,
          mtu: undefined,
        }),
      )
      .catch(() => {});
    await edge.teardown();
    await teardownHost(host, (line) => process.stdout.write(`${line}\n`));
    await controller.close();
    kernel.close();
    return;
  }

  const unreachable = async () => {
    const found = await controllerAddresses(settings.controller);
    // A name that cannot be looked up now stands for what it stood for.
    if (found.length > 0) controllerIs = found;
  };
  const { frontPort, ...answering } = settings.handoff;
  const frontHost = new URL(settings.controller).hostname.replace(/^\[|\]$/g, '');
  const taker = createTaker({
    name: settings.name,
    front: { host: frontHost, port: frontPort },
    root: answering.root,
    server: answering.server,
    log,
  });
  const agent = startAgent({
    host,
    taker,
    edge,
    controller,
    isRenewalDue: credentials.isDue,
    machineId: id,
    speedMbit: settings.speedMbit,
    log,
    unreachable,
  });
  const stopping = serve(manager, { isReady: () => agent.rounds() > 0, rounds: agent.rounds, status: agent.status });
  onStop(async (signal) => {
    const end = performance.now() + settings.shutdownDrainMs;
    if (await hostIsStopping()) {
      stopping('this host shuts down: waits for its connections to end', settings.shutdownDrainMs + leaveMs);
      log.info({ signal, ms: settings.shutdownDrainMs }, 'this host shuts down: the director sends it nothing new');
      await agent.leave(settings.shutdownDrainMs);
    }
    log.info({ signal }, 'stopping; this host stays as it is');
    const leftMs = Math.max(0, end - performance.now());
    stopping('stops; this host stays as it is', leftMs + leaveMs);
    // What was handed over is answered by this very process.
    await taker.stop(leftMs);
    await agent.stop();
    kernel.close();
  });
  await agent.ended;
}

main().catch((error: unknown) => process.exit(explain(spec.name, error)));
