import type { Agents } from '../../src/core/agents.ts';
import { type Desired, type DirectorFacts, desiredDirector } from '../../src/core/director.ts';
import { advanceDrains, type DrainWatch, straysOf } from '../../src/core/drains.ts';
import { nextLedger, nothingDesired } from '../../src/core/ledger.ts';
import { type Actual, plan } from '../../src/core/plan.ts';
import { defaultDrainMs, replacePools } from '../../src/core/pools.ts';
import { standingsOf } from '../../src/core/standings.ts';
import { emptyState, poolsOf, type State } from '../../src/core/state.ts';
import type { Step } from '../../src/core/steps.ts';
import type { StepFailure } from '../../src/kernel/kernel.ts';
import type { Pools } from '../../src/schema.ts';
import { applySteps, createWorld, type Refuse, type World } from '../fake-kernel.ts';
import { everyProbeUp } from '../health.ts';

/** A director of pure functions on a fake kernel: the pass of src/director without disk, clock and sockets. */
export interface Site {
  world: World;
  state: State;
  agents: Agents;
  conflicts: Map<string, string>;
  manageVip: boolean;
  watches: Map<string, DrainWatch>;
  clocks: { wall: number; steady: number };
}

export const boot = 'boot-1';
const interfaceName = 'eth0';

export const createSite = (more: Partial<Site> = {}): Site => ({
  state: emptyState(),
  agents: new Map(),
  conflicts: new Map(),
  manageVip: true,
  watches: new Map(),
  clocks: { wall: 1_000_000, steady: 0 },
  ...more,
  world: structuredClone(more.world ?? createWorld()),
});

export const look = (world: World): Actual => ({
  services: structuredClone(world.services),
  addresses: structuredClone(world.addresses),
  sysctls: new Map(world.sysctls),
  routes: structuredClone(world.routes),
});

export function put(site: Site, pools: Pools, drainMs?: number): void {
  site.state = replacePools(site.state, pools, site.clocks.wall, drainMs);
}

export function pass(site: Site, ms: number): void {
  site.clocks.wall += ms;
  site.clocks.steady += ms;
}

export const factsOf = (site: Site): DirectorFacts => ({
  pools: poolsOf(site.state),
  drains: site.state.drains,
  agents: site.agents,
  interface: interfaceName,
  manageVip: site.manageVip,
  conflicts: site.conflicts,
  findings: everyProbeUp,
  proberProblem: undefined,
  listening: new Map(),
  tenures: new Map(),
  headrooms: new Map(),
  now: site.clocks.wall,
  localAddresses: new Set(site.world.addresses.map(({ address }) => address)),
});

/** What the director wants, with the weights of these facts. */
export const desiredOf = (facts: DirectorFacts): Desired =>
  desiredDirector(facts, standingsOf(facts.pools, facts.drains, facts));

/** All of a pass up to the steps: drains advanced, ledger noted. */
export function prepare(site: Site, settled = true): { desired: Desired; actual: Actual; steps: Step[] } {
  const actual = look(site.world);
  const drains = advanceDrains(site.state, actual.services, site.world.addresses, site.watches, site.clocks);
  if (drains !== site.state.drains) site.state = { ...site.state, revision: site.state.revision + 1, drains };
  for (;;) {
    const desired = desiredOf(factsOf(site));
    const ledger = nextLedger(site.state.ledger, desired, actual, boot);
    if (ledger === site.state.ledger)
      return { desired, actual, steps: plan(desired, actual, ledger, { role: 'director', settled }) };
    const limit = { deadline: site.clocks.wall + defaultDrainMs, drainMs: defaultDrainMs };
    const strays = straysOf(site.state.ledger, ledger, desired, site.state, limit);
    site.state = { ...site.state, ledger, drains: [...site.state.drains, ...strays] };
  }
}

export interface Passed {
  steps: Step[];
  failures: StepFailure[];
}

export function reconcile(site: Site, options: { settled?: boolean; cutAfter?: number; refuse?: Refuse } = {}): Passed {
  const { steps } = prepare(site, options.settled);
  return { steps, failures: applySteps(site.world, steps.slice(0, options.cutAfter), options.refuse) };
}

/** What `dsr-controller teardown` does. */
export function teardown(site: Site, options: { cutAfter?: number } = {}): Passed {
  const actual = look(site.world);
  const steps = plan(nothingDesired(), actual, site.state.ledger, { role: 'director', settled: true });
  return { steps, failures: applySteps(site.world, steps.slice(0, options.cutAfter)) };
}
