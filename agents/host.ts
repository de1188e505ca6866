import { hostPrefix } from '../src/core/address.ts';
import { nextLedger, nothingDesired } from '../src/core/ledger.ts';
import { type Actual, plan } from '../src/core/plan.ts';
import {
  desiredRealServer,
  type HostFacts,
  interfaceOf,
  type Listeners,
  repliesBy,
  reversePathKeys,
  suppressionKeys,
  vipReports,
} from '../src/core/real-server.ts';
import { emptyLedger } from '../src/core/state.ts';
import { commandOf, type Step, subjectOf } from '../src/core/steps.ts';
import { CodedError } from '../src/errors.ts';
import type { Kernel } from '../src/kernel/kernel.ts';
import type { AgentDesired, VipReport } from '../src/schema.ts';
import type { Document } from '../src/store/document.ts';
import type { Memory } from './memory.ts';

const nothingWanted: AgentDesired = { revision: 0, vips: [], probers: [] };

/** What one pass over this host found after it had done its steps. */
export interface HostPass {
  revision: number;
  addresses: string[];
  vips: Record<string, VipReport>;
  problems: string[];
  /** The interface that carries this host's address; undefined while there is none. */
  interface: string | undefined;
  /** The one by which replies leave, whose traffic counts. */
  repliesBy: string | undefined;
  /** Of the former, in bytes. */
  mtu: number | undefined;
  steps: Step[];
}

export interface HostOptions {
  kernel: Kernel;
  memory: Document<Memory>;
  interface: string | undefined;
  allowedVips: string[] | undefined;
  /** Addresses that this host needs for something else, with the word for it; asked at each pass. */
  reserved: () => ReadonlyMap<string, string>;
}

/** Brings this host to what the controller last wanted. Every pass recomputes the whole. */
export async function reconcileHost(options: HostOptions): Promise<HostPass> {
  const { kernel, memory } = options;
  const wanted = memory.get().desired;
  const before = lookAround(options, wanted);
  const { desired, refused } = desiredRealServer(wanted, before.host, before.actual.sysctls);
  const boot = kernel.bootId();
  const ledger = nextLedger(memory.get().ledger, desired, before.actual, boot);
  if (ledger !== memory.get().ledger) await memory.change((now) => ({ ...now, ledger }));
  const steps = plan(desired, before.actual, ledger, { role: 'real-server', settled: true });
  const problems = new Map(refused);
  for (const { about, message } of await applyInOrder(kernel, steps)) problems.set(about, message);
  const after = steps.length > 0 ? lookAround(options, wanted) : before;
  return {
    revision: wanted.revision,
    addresses: [...new Set(after.host.addresses.filter((a) => a.interface !== 'lo').map(({ address }) => address))],
    vips: vipReports(wanted, after.host, after.actual.sysctls, spread(problems, wanted), onceEach(kernel)),
    ...cardOf(wanted, after.host),
    problems: [...problems.values()],
    steps,
  };
}

/** Puts this host back as it was before the agent. Throws TEARDOWN_INCOMPLETE. */
export async function teardownHost(options: HostOptions, told: (line: string) => void): Promise<void> {
  const { kernel, memory } = options;
  const { ledger } = memory.get();
  const boot = kernel.bootId();
  if (ledger.boot === boot) {
    const steps = plan(nothingDesired(), lookAround(options, nothingWanted).actual, ledger, {
      role: 'real-server',
      settled: true,
    });
    for (const step of steps) told(commandOf(step));
    const [failure] = await applyInOrder(kernel, steps);
    if (failure)
      throw new CodedError(
        'TEARDOWN_INCOMPLETE',
        `some of it could not be undone; correct the cause and run teardown again: ${failure.message}`,
      );
  }
  await memory.change(() => ({ desired: nothingWanted, ledger: emptyLedger(boot) }));
}

/** One after the other, up to the first that fails: a VIP must not come before the suppression, nor outlive it. */
async function applyInOrder(kernel: Kernel, steps: readonly Step[]): Promise<{ about: string; message: string }[]> {
  for (const step of steps) {
    const [failure] = await kernel.apply([step]);
    if (failure) return [{ about: subjectOf(step), message: `${commandOf(step)}: ${failure.message}` }];
  }
  return [];
}

/** A failed sysctl is a problem of every VIP. */
function spread(problems: ReadonlyMap<string, string>, wanted: AgentDesired): Map<string, string> {
  const general = [...problems]
    .filter(([about]) => !wanted.vips.some(({ vip }) => vip === about))
    .map(([, words]) => words);
  return new Map(
    wanted.vips.flatMap(({ vip }) => {
      const words = problems.get(vip) ?? general[0];
      return words === undefined ? [] : [[vip, words] as const];
    }),
  );
}

function lookAround(options: HostOptions, wanted: AgentDesired): { host: HostFacts; actual: Actual } {
  const { kernel, memory } = options;
  const host: HostFacts = {
    addresses: kernel.addresses(),
    links: kernel.links(),
    routes: kernel.routes(),
    interface: options.interface,
    allowedVips: options.allowedVips,
    reserved: options.reserved(),
  };
  const interfaces = new Set(wanted.vips.map(({ address }) => interfaceOf(address, host)));
  const keys = new Set([
    ...Object.keys(memory.get().ledger.sysctls),
    ...[...interfaces].flatMap(suppressionKeys),
    ...[...interfaces].flatMap(reversePathKeys),
  ]);
  const sysctls = new Map([...keys].map((key) => [key, kernel.sysctl(key)]));
  // On a real server only what is on lo is ours to change.
  const onLo = host.addresses.filter((a) => a.interface === 'lo');
  const routes = host.routes
    .filter(({ gateway, destination, prefix }) => !gateway && prefix === hostPrefix(destination))
    .map((route) => ({ address: route.destination, interface: route.interface }));
  return { host, actual: { services: new Map(), addresses: onLo, sysctls, routes } };
}

function cardOf(wanted: AgentDesired, host: HostFacts): Pick<HostPass, 'interface' | 'repliesBy' | 'mtu'> {
  const [first] = wanted.vips;
  const name = first ? interfaceOf(first.address, host) : host.interface;
  const replies = first ? repliesBy(first.vip, first.address, host) : name;
  return { interface: name, repliesBy: replies, mtu: host.links.find((link) => link.name === name)?.mtu };
}

/** Asks the kernel once for each address and protocol. */
function onceEach(kernel: Kernel): Listeners {
  const known = new Map<string, ReturnType<Listeners>>();
  return (address, protocol) => {
    const key = `${address} ${protocol}`;
    const found = known.get(key) ?? kernel.listeners(address, protocol);
    known.set(key, found);
    return found;
  };
}
