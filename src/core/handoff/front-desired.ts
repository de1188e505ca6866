import type { FrontPort } from '../../handoff-schema.ts';
import type { AgentDesired, Pools, UrlPort } from '../../schema.ts';
import { serviceId } from '../kernel-state.ts';
import type { Standings } from '../standings.ts';

/** The ports that the front serves, with the weights of their real servers; sorted, so that equal means equal. */
export function frontPorts(pools: Pools, standings: Standings, localAddresses: ReadonlySet<string>): FrontPort[] {
  return Object.entries(pools).flatMap(([name, pool]) =>
    Object.entries(pool.ports).flatMap(([key, port]) => {
      if (port.policy !== 'url' || port.engine === 'edge') return [];
      const members = standings.get(name)?.ports.get(key)?.members;
      return {
        pool: name,
        vip: pool.vip,
        port: serviceId(pool.vip, key).port,
        policy: policyOf(port),
        servers: Object.entries(pool.realServers).map(([rs, { address }]) => ({
          name: rs,
          address,
          weight: members?.get(rs)?.weight ?? 0,
          isDirector: localAddresses.has(address),
        })),
      };
    }),
  );
}

/** The ports of a real server whose connections the front hands over. */
export const handedPorts = (name: string, pools: Pools): NonNullable<AgentDesired['handoff']>['ports'] =>
  Object.values(pools)
    .filter(({ realServers }) => Object.hasOwn(realServers, name))
    .flatMap(({ vip, ports }) =>
      Object.entries(ports).flatMap(([key, port]) =>
        port.policy === 'url' && port.engine === 'handoff'
          ? { vip, port: serviceId(vip, key).port, policy: policyOf(port) }
          : [],
      ),
    );

/** Without what only IPVS needs to know. */
const policyOf = ({ policy, rules, otherwise, engine, affinity, handoff, redirect }: UrlPort): FrontPort['policy'] => ({
  policy,
  rules,
  otherwise,
  engine,
  affinity,
  ...(handoff && { handoff }),
  ...(redirect && { redirect }),
});
