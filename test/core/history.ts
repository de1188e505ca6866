import fc from 'fast-check';
import type { Pools } from '../../src/schema.ts';
import { agentsArb, fitAgents, poolsArb } from '../arbitraries.ts';
import { pass, put, reconcile, type Site } from './site.ts';

/** One thing that users and agents did, and how far the pass after it came before the process was killed. */
export interface Chapter {
  pools: Pools;
  agents: Site['agents'];
  ms: number;
  cutAfter: number;
}

export const historyArb: fc.Arbitrary<Chapter[]> = fc.array(
  fc
    .record({
      pools: poolsArb,
      agents: fc.option(agentsArb),
      ms: fc.nat(60_000),
      cutAfter: fc.oneof(fc.constant(Number.POSITIVE_INFINITY), fc.nat(12)),
    })
    .map(({ agents, ...chapter }) => ({ ...chapter, agents: agents ?? fitAgents(chapter.pools) })),
  { minLength: 1, maxLength: 3 },
);

/** Lives through it; `each` sees the site after every pass. */
export function live(site: Site, history: readonly Chapter[], each: (site: Site) => void = () => {}): void {
  for (const { pools, agents, ms, cutAfter } of history) {
    site.agents = agents;
    put(site, pools);
    reconcile(site, { cutAfter });
    each(site);
    pass(site, ms);
  }
}

/** Keys of all services and local ports that these pools are about. */
export const keysOf = (pools: Pools): string[] =>
  Object.values(pools).flatMap(({ vip, ports }) =>
    Object.keys(ports).map((key) => `${vip.includes(':') ? `[${vip}]` : vip}:${key}`),
  );
