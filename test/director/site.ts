import type { Test } from 'tap';
import { ipvsSysctls } from '../../src/core/ipvs-sysctls.ts';
import { replacePools } from '../../src/core/pools.ts';
import { commandOf } from '../../src/core/steps.ts';
import type { Connect } from '../../src/director/local-check.ts';
import { type Director, type Pass, startDirector } from '../../src/director/reconcile.ts';
import type { CardSource } from '../../src/director/traffic.ts';
import { until } from '../../src/loop.ts';
import { type Pools, poolsSchema, type Report, reportSchema } from '../../src/schema.ts';
import { createAgentRegistry } from '../../src/store/agents.ts';
import { createEvents } from '../../src/store/events.ts';
import { openAgents, openEvents, openState } from '../../src/store/state.ts';
import { createFakeKernel, type FakeKernel } from '../fake-kernel.ts';
import { createFakeHealth, type FakeHealth } from '../health.ts';

/** A director with its real store, on a fake kernel. */
export interface Site {
  kernel: FakeKernel;
  director: Director;
  health: FakeHealth;
  folder: string;
  put(pools: object, drainMs?: number): Promise<void>;
  /** The agent of this real server reports these VIPs as in place. */
  report(name: string, address: string, ...vips: string[]): void;
  /** Waits for a pass that this is true of. */
  waitFor(what: string, condition: (last: Pass) => boolean): Promise<Pass>;
  /** Waits until the kernel has all of the stored revision. */
  reconciled(): Promise<Pass>;
  /** Command lines that were applied since this was last asked. */
  lines(): string[];
  /** Messages of the events of a type so far. */
  told(type: string): string[];
  types(): string[];
  stop(): Promise<void>;
}

export interface SiteOptions {
  kernel?: FakeKernel;
  /** Of a site that was stopped. */
  folder?: string;
  manageVip?: boolean;
  /** How connections to ports that stay on the director end; accepted without it. */
  connect?: Connect;
  /** How full cards are; default: nothing is known of any. */
  cards?: CardSource;
}

const sites = new WeakMap<Test, Set<() => Promise<void>>>();

export function startSite(t: Test, options: SiteOptions = {}): Site {
  const { kernel = createFakeKernel(), folder, manageVip = true, connect = async () => undefined } = options;
  const running = sites.get(t) ?? new Set();
  // All of a test's sites stop before its folder goes.
  if (!sites.has(t)) t.teardown(() => Promise.all([...running].map((stop) => stop())));
  sites.set(t, running);
  const home = folder ?? t.testdir({});
  const state = openState(home, () => director.wake());
  const knownAgents = openAgents(home);
  const events = createEvents(openEvents(home), () => {});
  const agents = createAgentRegistry(knownAgents, events, () => director.wake());
  const log = { info: () => {}, error: () => {} };
  const health = createFakeHealth();
  const director = startDirector({
    kernel,
    state,
    agents: agents.all,
    health,
    cards: options.cards ?? (() => ({ cards: new Map(), ownCard: undefined })),
    connect,
    events,
    interface: 'eth0',
    manageVip,
    log,
  });
  let seen = kernel.applied.length;
  const stop = async () => {
    await director.stop();
    await events.stop();
    await knownAgents.change((value) => value);
  };
  running.add(stop);
  const waitFor: Site['waitFor'] = async (what, condition) => {
    const of = () => {
      const last = director.last();
      return last && condition(last) ? last : undefined;
    };
    const found = await until(director.passed, of, 15_000);
    if (!found) throw new Error(`no pass in 15 s: ${what}`);
    return found;
  };
  return {
    kernel,
    director,
    health,
    folder: home,
    put: async (pools, drainMs) => {
      const parsed: Pools = poolsSchema.parse(pools);
      await state.change((now) => replacePools(now, parsed, Date.now(), drainMs));
    },
    report: (name, address, ...vips) => agents.report(name, reportOf(name, address, vips)),
    waitFor,
    reconciled: () => waitFor('all is reconciled', (last) => last.reconciledRevision === state.get().revision),
    lines: () => {
      const lines = kernel.applied.slice(seen).map(commandOf);
      seen = kernel.applied.length;
      return lines;
    },
    told: (type) =>
      events
        .since()
        .filter((event) => event.type === type)
        .map(({ message }) => message),
    types: () => events.since().map(({ type }) => type),
    stop,
  };
}

const reportOf = (name: string, address: string, vips: string[]): Report =>
  reportSchema.parse({
    protocol: 1,
    machineId: name,
    bootId: 'b',
    revision: 1,
    addresses: [address],
    vips: Object.fromEntries(vips.map((vip) => [vip, { present: true, suppressed: true }])),
  });

export const vip = '192.0.2.100';
export const rs1 = { address: '192.0.2.11' };
export const rs2 = { address: '192.0.2.12' };
export const web = (realServers: object = { rs1, rs2 }, more: object = {}) => ({
  web: { vip, ports: { '80/tcp': { policy: 'real-servers' } }, realServers, ...more },
});

/** Weights of the web service's destinations in the kernel. */
export const weights = ({ world }: FakeKernel): Record<string, number> =>
  Object.fromEntries((world.services.get(`${vip}:80/tcp`)?.destinations ?? []).map((d) => [d.address, d.weight]));

/** A site where the web pool is up and every agent fit. */
export async function runningSite(t: Test, options: SiteOptions = {}): Promise<Site> {
  const site = startSite(t, options);
  await site.waitFor('the first look', () => true);
  await site.put(web());
  site.report('rs1', rs1.address, vip);
  site.report('rs2', rs2.address, vip);
  await site.waitFor('both take traffic', () => Object.values(weights(site.kernel)).join() === '100,100');
  await site.reconciled();
  site.lines();
  return site;
}

/** The command lines that set the sysctls of IPVS which are not as they must be on a fake kernel, or put them back. */
export const ofIpvs = (to: '0' | '1'): string[] =>
  ipvsSysctls.filter(({ value }) => value === '1').map(({ key }) => `sysctl -w ${key}=${to}`);

/** No pool and no drain is left. */
export const isForgotten = ({ state }: Pass): boolean =>
  Object.keys(state.pools).length === 0 && state.drains.length === 0;
