import { performance } from 'node:perf_hooks';
import { setImmediate } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { type Agents, speedsOf } from '../core/agents.ts';
import { type Balances, nextBalances } from '../core/balance.ts';
import { type Desired, type DirectorFacts, desiredDirector } from '../core/director.ts';
import { advanceDrains, type DrainWatch, straysOf } from '../core/drains.ts';
import type { Finding } from '../core/health.ts';
import { type ServiceId, serviceId, serviceKey } from '../core/kernel-state.ts';
import { nextLedger } from '../core/ledger.ts';
import type { LocalPorts } from '../core/local-ports.ts';
import { plan } from '../core/plan.ts';
import { defaultDrainMs, replacePools } from '../core/pools.ts';
import { eachPoolsStandings, nextTenures, type Standings, standingsOf, tenureKey } from '../core/standings.ts';
import { poolsOf, type State } from '../core/state.ts';
import { commandOf, type Step, subjectOf } from '../core/steps.ts';
import { type Target, targetKey, targetsOf } from '../core/targets.ts';
import type { Kernel, StepFailure } from '../kernel/kernel.ts';
import { createSignal, type Loop, type Signal, startLoop } from '../loop.ts';
import { isForwarded, type Pools } from '../schema.ts';
import type { Document } from '../store/document.ts';
import type { Events } from '../store/events.ts';
import { reportChanges, reportDrift } from './changes.ts';
import { type Look, lookAt } from './facts.ts';
import type { HealthSource } from './health.ts';
import { type Connect, startLocalChecks } from './local-check.ts';
import type { CardSource } from './traffic.ts';
import { type Blocked, createVipGuard } from './vips.ts';

/** What the last pass found and did: all that status is made from. */
export interface Pass {
  /** Revision that this pass worked on. */
  revision: number;
  /** Highest revision of which the kernel has everything. */
  reconciledRevision: number;
  state: State;
  look: Look;
  /** What the kernel was to be like after it. */
  desired: Desired;
  standings: Standings;
  /** What the probes had come to. */
  findings: ReadonlyMap<string, Finding>;
  /** VIPs that are not taken, and why. */
  blocked: Blocked;
  failures: readonly StepFailure[];
  /** Whether something listens here, by service key: ports that stay on this host, and those where it is a real server. */
  listening: ReadonlyMap<string, boolean>;
  /** How the last connection to a port that stays on this host ended; see {@link LocalPorts}. */
  connections: LocalPorts['connections'];
  settled: boolean;
  /** Steps wait for the first round of reports after the start. */
  held: boolean;
}

/** How often the kernel was looked at, and what came of it. */
export interface Tally {
  passes: number;
  /** Passes that could not be finished. */
  failed: number;
  /** Steps that were applied, those that the kernel refused among them. */
  steps: number;
  refused: number;
  /** Time that passes took, seconds. */
  seconds: number;
}

export interface Director {
  wake(): void;
  /** The last pass; undefined before the first. */
  last(): Pass | undefined;
  /** Why the last pass could not be finished; undefined when it was. */
  error(): Error | undefined;
  /** What there was since the start. */
  tally: Readonly<Tally>;
  /** After each pass. */
  passed: Signal;
  /** The steps that these pools would take now; changes nothing. */
  planFor(pools: Pools): Promise<Step[]>;
  stop(): Promise<void>;
}

export interface DirectorOptions {
  kernel: Kernel;
  state: Document<State>;
  agents: () => Agents;
  health: HealthSource;
  /** How full the cards are. */
  cards: CardSource;
  /** To the ports that stay on this host. */
  connect: Connect;
  events: Events;
  interface: string;
  manageVip: boolean;
  log: { info(keys: object, message: string): void; error(keys: object, message: string): void };
}

/** How long a start waits for the agents of all its real servers (a round of reports takes one second). */
const roundMs = 3000;
/** Look again at least this often; a large table no oftener than 5 % of a core allows. */
const lookMs = 500;
const serviceLookMs = 1000;
/** The longest that thinking may keep others waiting, about. */
const turnMs = 5;
const lookShare = 20;
/** A timer may end this much before its time. */
const timerEarlyMs = 5;

export function startDirector(options: DirectorOptions): Director {
  const { kernel, state, events, log } = options;
  const steady = () => performance.now();
  const started = steady();
  const guard = createVipGuard(kernel, options.interface, events, steady);
  const localChecks = startLocalChecks({ connect: options.connect, events, changed: () => wake() });
  const watches = new Map<string, DrainWatch>();
  const passed = createSignal();
  const tally: Tally = { passes: 0, failed: 0, steps: 0, refused: 0, seconds: 0 };
  let last: Pass | undefined;
  /** Those that events have told of. */
  let told: Standings = new Map();
  let error: Error | undefined;
  let tried = '';
  let carrier: boolean | undefined;
  let fullLookAt = 0;
  let woken = false;
  /** Since when they serve, by tenure key; and those that a pass has judged. */
  let tenures: ReadonlyMap<string, number> = new Map();
  let looked: ReadonlySet<string> = new Set();
  let balances: Balances = new Map();
  let followed: { stored: State['pools']; localAddresses: ReadonlySet<string> } | undefined;

  const facts = (pools: Pools, drains: State['drains'], look: Look, headrooms = balances): DirectorFacts => {
    const localAddresses = new Set(look.addresses.map(({ address }) => address));
    return {
      pools,
      drains,
      agents: options.agents(),
      findings: options.health.findings(),
      proberProblem: options.health.problem(),
      listening: listeningFor(pools, localAddresses),
      localAddresses,
      tenures: tenuresOf(pools, look),
      headrooms,
      now: Date.now(),
      interface: options.interface,
      manageVip: options.manageVip,
      conflicts: guard.conflicts,
    };
  };

  /** Thousands of targets are worked out anew only when they can differ. */
  const followPools = (stored: State['pools'], { pools, localAddresses }: DirectorFacts): void => {
    if (stored === followed?.stored && isDeepStrictEqual(localAddresses, followed.localAddresses)) return;
    followed = { stored, localAddresses };
    looked = judged(pools);
    options.health.set(targetsOf(pools, localAddresses));
  };

  /** What serves; of a member that is new here, what the kernel says: it may have served before this start. */
  const tenuresOf = (pools: Pools, look: Look): Map<string, number> => {
    const known = new Map(tenures);
    for (const pool of Object.values(pools))
      for (const key of Object.keys(pool.ports)) {
        const service = look.services.get(serviceKey(serviceId(pool.vip, key)));
        for (const { address, weight } of service?.destinations ?? []) {
          const at = tenureKey(pool.vip, key, address);
          if (weight > 0 && !looked.has(at)) known.set(at, 0);
        }
      }
    return known;
  };

  const balancesFor = (pools: Pools, { services, addresses }: Look): Balances =>
    nextBalances(balances, pools, {
      ...options.cards(),
      speeds: speedsOf(options.agents()),
      services,
      tenures,
      standings: last?.standings,
      localAddresses: new Set(addresses.map(({ address }) => address)),
      now: Date.now(),
      steadyNow: steady(),
    });

  const listeningFor = (pools: Pools, localAddresses: ReadonlySet<string>): Map<string, boolean> => {
    const ids = new Map<string, ServiceId>();
    for (const { vip, ports, realServers } of Object.values(pools)) {
      const isMember = Object.values(realServers).some(({ address }) => localAddresses.has(address));
      for (const [key, port] of Object.entries(ports)) {
        const id = serviceId(vip, key);
        if (!isForwarded(port) || isMember) ids.set(serviceKey(id), id);
      }
    }
    return new Map([...ids].map(([key, { vip, port, protocol }]) => [key, kernel.listeners(vip, protocol).has(port)]));
  };

  const isSettled = ({ pools, localAddresses }: DirectorFacts): boolean => {
    if (last?.settled || steady() - started > roundMs) return true;
    const [agents, findings] = [options.agents(), options.health.findings()];
    const isProbed = (target: Target) => (findings.get(targetKey(target))?.health.verdict ?? 'unknown') !== 'unknown';
    return (
      Object.values(pools).every((pool) =>
        Object.keys(pool.realServers).every((name) => typeof agents.get(name)?.lastReport === 'number'),
      ) && targetsOf(pools, localAddresses).every(isProbed)
    );
  };

  const pass = async (): Promise<number> => {
    const began = steady();
    try {
      return await passOnce();
    } finally {
      tally.passes++;
      tally.seconds += (steady() - began) / 1000;
    }
  };

  const passOnce = async (): Promise<number> => {
    const began = steady();
    const wanted = woken;
    woken = false;
    if (!wanted && steady() < fullLookAt && last?.failures.length === 0 && (await servicesStand(last.look)))
      return serviceLookMs;
    const look = await lookAt(kernel, options.interface, Object.keys(state.get().ledger.sysctls));
    await endDrains(look);
    const asked = vipsOf(state.get());
    const blocked = await guard.check(options.manageVip ? asked : [], look);
    await tellProbers(look);
    const { now, known, standings, desired } = await prepare(look, blocked, asked);
    followPools(now.pools, known);
    const connections = localChecks.follow(known.pools, { ...look, ...known });
    tenures = nextTenures(known.pools, standings, known);
    await setImmediate();
    const settled = isSettled(known);
    const steps = plan(desired, look, now.ledger, { role: 'director', settled });
    const held = !settled && plan(desired, look, now.ledger, { role: 'director', settled: true }).length > steps.length;
    tally.steps += steps.length;
    await setImmediate();
    const isNews = (step: Step) => !isByHeadroom(step, known);
    const failures = await apply([...steps, ...announcements(desired, look)], isNews);
    tally.refused += failures.length;
    const done: Pass = {
      revision: now.revision,
      reconciledRevision:
        failures.length === 0 && blocked.size === 0 && !held
          ? now.revision
          : Math.min(last?.reconciledRevision ?? 0, now.revision),
      state: now,
      look,
      desired,
      standings,
      findings: known.findings,
      blocked,
      failures,
      listening: known.listening,
      connections,
      settled,
      held,
    };
    // What a start has not settled yet is no news: agents and probes have had no time to speak.
    reportChanges(events, last && { ...last, standings: told }, done);
    if (settled || !last) told = standings;
    if (last && steps.length > 0) reportDrift(events, driftOf(steps, last, look), failures);
    last = done;
    error = undefined;
    passed.notify();
    const due = steps.some(isNews) ? lookMs : Math.max(lookMs, (steady() - began) * lookShare);
    fullLookAt = steady() + due - timerEarlyMs;
    return Math.min(due, serviceLookMs);
  };

  /** Between two looks at a large table: the services without their destinations, which costs little. */
  const servicesStand = async (look: Look): Promise<boolean> => {
    const configs = await kernel.serviceConfigs();
    return (
      configs.size === look.services.size &&
      [...configs].every(([key, { config }]) => isDeepStrictEqual(config, look.services.get(key)?.config))
    );
  };

  /** Agents are told where probes come from; the interface may have come only now. */
  const tellProbers = async (look: Look): Promise<void> => {
    const link = look.links.find(({ name }) => name === options.interface);
    if (!link) return;
    const probers = options.health.probers(link.mac);
    if (!isDeepStrictEqual(probers, state.get().probers))
      await state.change((now) => ({ ...now, revision: now.revision + 1, probers }));
  };

  const endDrains = async (look: Look): Promise<void> => {
    const { drains } = state.get();
    const next = advanceDrains(state.get(), look.services, look.addresses, watches, {
      wall: Date.now(),
      steady: steady(),
    });
    if (next === drains) return;
    await state.change((now) => (now.drains === drains ? { ...now, revision: now.revision + 1, drains: next } : now));
  };

  /** What is wanted now, with the ledger of it already on disk. */
  const prepare = async (look: Look, blocked: Blocked, asked: ReadonlySet<string>) => {
    for (;;) {
      const now = state.get();
      balances = balancesFor(poolsOf(now), look);
      const known = facts(poolsOf(now), now.drains, look);
      const standings: Standings = new Map();
      let began = steady();
      // Thousands of members take a while: the API answers in between. What changes meanwhile wakes the next pass.
      for (const [name, of] of eachPoolsStandings(known.pools, known.drains, known)) {
        standings.set(name, of);
        if (steady() - began < turnMs) continue;
        await setImmediate();
        began = steady();
      }
      const all = desiredDirector(known, standings);
      // Put since the LAN was asked: this change has woken the next pass, which asks.
      for (const vip of all.addresses.keys())
        if (!asked.has(vip)) blocked.set(vip, `it is about to be asked whether another host has ${vip}`);
      const desired = withoutBlocked(all, blocked);
      await setImmediate();
      const ledger = nextLedger(now.ledger, desired, look, kernel.bootId());
      if (ledger === now.ledger) return { now, known, standings, desired };
      const strays = straysOf(now.ledger, ledger, desired, now, {
        deadline: Date.now() + defaultDrainMs,
        drainMs: defaultDrainMs,
      });
      await state.change((current) => ({
        ...current,
        ledger,
        drains: strays.length > 0 ? [...current.drains, ...strays] : current.drains,
      }));
    }
  };

  const apply = async (steps: Step[], isNews: (step: Step) => boolean): Promise<readonly StepFailure[]> => {
    const lines = steps.filter(isNews).map(commandOf);
    const text = lines.join('\n');
    if (lines.length > 0 && text !== tried) log.info({ steps: lines.length, first: lines.slice(0, 20) }, 'applying');
    tried = text;
    return steps.length > 0 ? kernel.apply(steps) : [];
  };

  /** Neighbours are told again where the VIPs are when the cable comes back. */
  const announcements = (desired: Desired, look: Look): Step[] => {
    const had = carrier;
    carrier = look.links.find(({ name }) => name === options.interface)?.carrier;
    if (had !== false || !carrier) return [];
    const present = new Set(look.addresses.map(({ address }) => address));
    return [...desired.addresses.keys()]
      .filter((vip) => present.has(vip))
      .map((address) => ({ op: 'announce', address, interface: options.interface }));
  };

  const loop: Loop = startLoop(pass, (reason, again) => {
    error = reason;
    tally.failed++;
    woken = true;
    if (!again) log.error({ err: reason }, 'reconcile failed, trying again');
    passed.notify();
  });
  const wake = () => {
    woken = true;
    loop.wake();
  };
  const watch = kernel.watch(wake);
  wake();

  return {
    wake,
    last: () => last,
    error: () => error,
    tally,
    passed,
    planFor: async (pools) => {
      const look = await lookAt(kernel, options.interface, Object.keys(state.get().ledger.sysctls));
      const now = state.get();
      const next = replacePools(now, pools, Date.now());
      const known = facts(pools, next.drains, look, balancesFor(pools, look));
      const desired = desiredDirector(known, standingsOf(pools, next.drains, known));
      return plan(desired, look, nextLedger(now.ledger, desired, look, kernel.bootId()), {
        role: 'director',
        settled: true,
      });
    },
    stop: async () => {
      watch.close();
      await loop.stop();
      localChecks.stop();
    },
  };
}

const judged = (pools: Pools) =>
  new Set(
    Object.values(pools).flatMap(({ vip, ports, realServers }) =>
      Object.keys(ports).flatMap((key) =>
        Object.values(realServers).map(({ address }) => tenureKey(vip, key, address)),
      ),
    ),
  );

const vipsOf = (state: State) => new Set(Object.values(state.pools).map(({ pool }) => pool.vip));

function withoutBlocked(desired: Desired, blocked: Blocked): Desired {
  for (const vip of blocked.keys()) desired.addresses.delete(vip);
  return desired;
}

/** Weights that follow the cards change every second: that is no news, and no reason to look again at once. */
function isByHeadroom(step: Step, { pools, headrooms }: Pick<DirectorFacts, 'pools' | 'headrooms'>): boolean {
  if (step.op !== 'set-destination' || step.destination.weight === 0) return false;
  return [...headrooms.keys()].some((name) => pools[name]?.vip === step.service.vip);
}

/** Of these steps those that put right what somebody else changed: the last pass left it otherwise than it is now. */
function driftOf(steps: readonly Step[], last: Pass, look: Look): Step[] {
  if (last.failures.length > 0) return [];
  const { settled, state } = last;
  const changed = new Set(plan(last.desired, look, state.ledger, { role: 'director', settled }).map(subjectOf));
  return steps.filter((step) => changed.has(subjectOf(step)));
}
