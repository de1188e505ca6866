import { EventEmitter } from 'node:events';
import { ipvsSysctls } from '../src/core/ipvs-sysctls.ts';
import type {
  ActualAddress,
  ActualService,
  CardCounters,
  Destination,
  Link,
  Route,
  ServiceConfig,
  ServiceId,
  Services,
} from '../src/core/kernel-state.ts';
import { routeKey, serviceKey } from '../src/core/kernel-state.ts';
import { commandOf, type Step } from '../src/core/steps.ts';
import { KernelError } from '../src/kernel/errors.ts';
import type { Kernel, StepFailure } from '../src/kernel/kernel.ts';
import { schedulers } from '../src/schema.ts';

/** A kernel's state in the terms that this project can see, and what is around it. */
export interface World {
  services: Services;
  addresses: ActualAddress[];
  links: Link[];
  sysctls: Map<string, string>;
  routes: Route[];
  /** Services by firewall mark: opaque, never dumped. */
  marks: string[];
  /** Ethernet addresses of other hosts on the LAN, by the address that they answer for. */
  lan: Map<string, string>;
  /** What cards counted, by interface; nothing unless it says so. */
  traffic: Map<string, Partial<CardCounters>>;
  /** What was announced, oldest first. */
  announced: string[];
}

const noTraffic = { rxBytes: 0, txBytes: 0, rxPackets: 0, txPackets: 0, rxLost: 0, txLost: 0 };

export const linkOf = (name: string, more: Partial<Link> = {}): Link => ({
  index: 2,
  name,
  up: true,
  carrier: true,
  loopback: name === 'lo',
  arp: name !== 'lo',
  mac: name === 'lo' ? '' : '02:00:00:00:00:01',
  mtu: 1500,
  ...more,
});

export const addressOn = (name: string, address: string, prefix = 24): ActualAddress => ({
  address,
  prefix,
  interface: name,
  tentative: false,
  dadFailed: false,
});

/** A host on one network card, as it is before this project touches it. */
export function createWorld(more: Partial<World> = {}): World {
  const sysctls = new Map<string, string>();
  for (const dev of ['all', 'default', 'lo', 'eth0', 'eth1']) {
    for (const name of ['arp_ignore', 'arp_announce']) sysctls.set(`net.ipv4.conf.${dev}.${name}`, '0');
    sysctls.set(`net.ipv6.conf.${dev}.ndisc_notify`, '0');
  }
  for (const { key } of ipvsSysctls) sysctls.set(key, '0');
  return {
    services: new Map(),
    addresses: [addressOn('lo', '127.0.0.1', 8), addressOn('eth0', '192.0.2.1')],
    links: [linkOf('lo', { index: 1 }), linkOf('eth0'), linkOf('eth1', { index: 3 })],
    sysctls,
    routes: [],
    marks: ['fwm 7 wlc 192.0.2.99'],
    lan: new Map(),
    traffic: new Map(),
    announced: [],
    ...more,
  };
}

/** The kernel's answer to one request: undefined for yes, or its name for the error. */
type Answer = string | undefined;

const schedulerNames: readonly string[] = schedulers;

function configAnswer({ vip }: ServiceId, { scheduler, persistencePrefix: prefix }: ServiceConfig): Answer {
  if (!schedulerNames.includes(scheduler)) return 'ENOENT';
  if (vip.includes(':') && (prefix < 1 || prefix > 128)) return 'EINVAL';
  return undefined;
}

function destinationAnswer({ weight, upperThreshold, lowerThreshold }: Destination): Answer {
  return weight < 0 || lowerThreshold > upperThreshold ? 'ERANGE' : undefined;
}

/** The requests of net/netfilter/ipvs/ip_vs_ctl.c and net/ipv4/devinet.c that the steps stand for, one each. */
function request(world: World, step: Step): Answer {
  switch (step.op) {
    case 'add-service':
    case 'set-service': {
      const key = serviceKey(step.service);
      const is = world.services.get(key);
      if (step.op === 'add-service' && is) return 'EEXIST';
      if (step.op === 'set-service' && !is) return 'ESRCH';
      const refused = configAnswer(step.service, step.config);
      if (refused) return refused;
      const config = structuredClone(step.config);
      world.services.set(key, { id: { ...step.service }, config, destinations: is?.destinations ?? [] });
      return undefined;
    }
    case 'delete-service':
      return world.services.delete(serviceKey(step.service)) ? undefined : 'ESRCH';
    case 'add-destination':
    case 'set-destination': {
      const list = world.services.get(serviceKey(step.service))?.destinations;
      if (!list) return 'ESRCH';
      const refused = destinationAnswer(step.destination);
      if (refused) return refused;
      const at = list.findIndex((d) => d.address === step.destination.address && d.port === step.destination.port);
      if (step.op === 'add-destination' && at >= 0) return 'EEXIST';
      if (step.op === 'set-destination' && at < 0) return 'ENOENT';
      const connections = list[at]?.connections ?? { active: 0, inactive: 0, persistent: 0 };
      list.splice(at < 0 ? list.length : at, 1, { ...step.destination, connections });
      return undefined;
    }
    case 'delete-destination': {
      const list = world.services.get(serviceKey(step.service))?.destinations;
      if (!list) return 'ESRCH';
      const at = list.findIndex((d) => d.address === step.address && d.port === step.port);
      if (at < 0) return 'ENOENT';
      list.splice(at, 1);
      return undefined;
    }
    case 'add-address': {
      const { address, prefix, interface: name, role } = step;
      if (!world.links.some((link) => link.name === name)) return 'ENODEV';
      const v6 = address.includes(':');
      const same = (a: ActualAddress) => a.address === address && a.interface === name && (v6 || a.prefix === prefix);
      if (world.addresses.some(same)) return 'EEXIST';
      const dadFailed = v6 && role === 'director' && world.lan.has(address);
      world.addresses.push({ ...addressOn(name, address, prefix), dadFailed });
      return undefined;
    }
    case 'delete-address': {
      const at = world.addresses.findIndex(
        (a) => a.address === step.address && a.prefix === step.prefix && a.interface === step.interface,
      );
      if (at < 0) return 'EADDRNOTAVAIL';
      world.addresses.splice(at, 1);
      return undefined;
    }
    case 'announce': {
      const refused = linkAnswer(world, step.interface);
      if (!refused) world.announced.push(step.address);
      return refused;
    }
    case 'add-route':
      if (!world.links.some((link) => link.name === step.interface)) return 'ENODEV';
      if (world.routes.some((route) => routeKey(route) === routeKey(step))) return 'EEXIST';
      world.routes.push({ address: step.address, interface: step.interface });
      return undefined;
    case 'delete-route': {
      const at = world.routes.findIndex((route) => routeKey(route) === routeKey(step));
      if (at < 0) return 'ESRCH';
      world.routes.splice(at, 1);
      return undefined;
    }
    case 'set-sysctl':
      if (!world.sysctls.has(step.key)) return 'ENOENT';
      world.sysctls.set(step.key, step.value);
      return undefined;
  }
}

function linkAnswer(world: World, name: string): Answer {
  const link = world.links.find((l) => l.name === name);
  if (!link) return 'ENODEV';
  return link.up ? undefined : 'ENETDOWN';
}

/** One step with the contract of {@link Kernel.apply}: what is already so is no failure. */
export function applyStep(world: World, step: Step): Answer {
  const answer = request(world, step);
  if (answer === 'EEXIST' && step.op === 'add-service') return request(world, { ...step, op: 'set-service' });
  if (answer === 'EEXIST' && step.op === 'add-destination') return request(world, { ...step, op: 'set-destination' });
  if (answer === 'EEXIST') return undefined;
  const gone = answer === 'ENOENT' || answer === 'ESRCH' || answer === 'EADDRNOTAVAIL';
  return gone && step.op.startsWith('delete-') ? undefined : answer;
}

/** Applies the steps in order and goes on after a failure. */
export function applySteps(world: World, steps: readonly Step[], refuse: Refuse = () => undefined): StepFailure[] {
  const failures: StepFailure[] = [];
  for (const step of steps) {
    const code = refuse(step) ?? applyStep(world, step);
    if (code) failures.push({ step, code, message: `cannot ${commandOf(step)}: ${code}` });
  }
  return failures;
}

/** Makes the kernel say no to a step, with this error. */
export type Refuse = (step: Step) => string | undefined;

/** All of it as text, in one order; without counters, which a re-added destination starts anew. */
export function snapshot(world: Pick<World, 'services' | 'addresses' | 'sysctls' | 'routes' | 'marks'>): string {
  const lines = [
    ...[...world.services.values()].map(serviceLine),
    ...world.addresses.map((a) => `address ${a.address}/${a.prefix} ${a.interface}`),
    ...[...world.sysctls].map(([key, value]) => `sysctl ${key}=${value}`),
    ...world.routes.map((route) => `route ${routeKey(route)}`),
    ...world.marks,
  ];
  return lines.sort().join('\n');
}

function serviceLine({ id, config, destinations }: ActualService): string {
  // The mask means nothing without persistence, and no tool shows it then.
  const { persistencePrefix: mask, ...rest } = config;
  const of = destinations.map(({ connections: _, ...d }) => JSON.stringify(d, Object.keys(d).sort())).sort();
  return `service ${serviceKey(id)} ${JSON.stringify({ mask: rest.persistenceSeconds && mask, ...rest })} ${of.join(' ')}`;
}

/** A {@link Kernel} that keeps a {@link World} and errs as the kernel does. */
export interface FakeKernel extends Kernel {
  world: World;
  /** Steps that it was given, oldest first, also refused ones. */
  applied: Step[];
  refuse: Refuse;
  /** Makes every look at IPVS fail with this error. */
  blind: string | undefined;
  /** What somebody else on the host or the LAN does; tells the watchers. */
  disturb(change: (world: World) => void): void;
  boot: string;
}

export function createFakeKernel(world = createWorld()): FakeKernel {
  const changes = new EventEmitter().setMaxListeners(0);
  const fail = (code: string, doing: string): never => {
    throw new KernelError(code, `cannot ${doing}: ${code}`);
  };
  const see = () => kernel.blind && fail(kernel.blind, 'read the IPVS table');
  const kernel: FakeKernel = {
    world,
    applied: [],
    refuse: () => undefined,
    blind: undefined,
    boot: 'boot-1',
    disturb: (change) => {
      change(world);
      changes.emit('change');
    },
    services: async () => {
      see();
      return structuredClone(world.services);
    },
    serviceConfigs: async () => {
      see();
      const traffic = { connections: 0, packetsIn: 0, bytesIn: 0 };
      return new Map(
        [...world.services].map(([key, { id, config }]) => [key, structuredClone({ id, config, traffic })]),
      );
    },
    addresses: () => structuredClone(world.addresses),
    links: () => structuredClone(world.links),
    gateways: () => ['192.0.2.254'],
    routes: () =>
      world.routes.map(({ address, interface: name }) => ({
        destination: address,
        prefix: address.includes(':') ? 128 : 32,
        interface: name,
        gateway: false,
      })),
    sysctl: (key) => world.sysctls.get(key),
    apply: async (steps) => {
      kernel.applied.push(...steps);
      const failures = applySteps(world, steps, kernel.refuse);
      if (steps.some((step) => step.op.endsWith('-address'))) changes.emit('change');
      return failures;
    },
    whoHas: async (address, name) => {
      const refused = linkAnswer(world, name);
      return refused ? fail(refused, `ask for ${address} on ${name}`) : world.lan.get(address);
    },
    whoClaims: async (addresses) =>
      addresses.flatMap((address) => {
        const mac = world.lan.get(address);
        return mac === undefined ? [] : [{ address, mac }];
      }),
    vitals: {
      firewall: async () => ({ ruleset: { nftables: [] }, saved: [] }),
      managers: () => [],
      modules: () => new Set(['ip_vs', ...schedulers.map((name) => `ip_vs_${name}`)]),
      connectionTableBits: () => 12,
      offload: () => ({ lro: false, gro: true }),
      conntrack: () => undefined,
    },
    listeners: () => new Map(),
    card: (name) => {
      const link = world.links.find((link) => link.name === name);
      return link && { interface: name, mac: link.mac, ...noTraffic, ...world.traffic.get(name) };
    },
    cardSpeed: () => undefined,
    established: (addresses) => new Map([...addresses].map((address) => [address, new Map()])),
    watch: (changed) => {
      changes.on('change', changed);
      return { close: () => changes.off('change', changed) };
    },
    bootId: () => kernel.boot,
    close: () => changes.removeAllListeners(),
  };
  return kernel;
}
