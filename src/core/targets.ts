import type { Check } from '../check-schema.ts';
import { checkOf, isBalanced, isRedirected, type Pools } from '../schema.ts';

/** One thing to check: a port of a real server, through a VIP. */
export interface Target {
  vip: string;
  /** The real server's own address. */
  address: string;
  /** The port that is balanced, of which `check.port` may speak otherwise. */
  port: number;
  protocol: 'tcp' | 'udp';
  check: Check;
}

/** What the pools want checked; the director itself and what is in maintenance is not. Some may be equal. */
export function targetsOf(pools: Pools, localAddresses: ReadonlySet<string>): Target[] {
  const targets: Target[] = [];
  for (const pool of Object.values(pools))
    for (const [key, port] of Object.entries(pool.ports)) {
      // Where clients are redirected to is checked by the front: a probe goes through the VIP.
      if (!isBalanced(port) || isRedirected(port)) continue;
      const check = checkOf(pool, key, port);
      if (!check) continue;
      for (const { address, state } of Object.values(pool.realServers))
        if (state !== 'maintenance' && !localAddresses.has(address))
          targets.push(targetOf(pool.vip, address, key, check));
    }
  return targets;
}

/** @param key the pool port, such as "80/tcp" */
export function targetOf(vip: string, address: string, key: string, check: Check): Target {
  const [port, protocol] = key.split('/');
  return { vip, address, port: Number(port), protocol: protocol === 'udp' ? 'udp' : 'tcp', check };
}

/** Equal for targets that one check answers for: the same server, VIP, port and kind of check. */
export function targetKey({ vip, address, port, protocol, check }: Target): string {
  // A kind that runs over TCP does not care for the protocol of the balanced port.
  const transport = check.type === 'dns' ? (check.transport ?? protocol) : check.type === 'exec' ? protocol : '';
  return `${vip} ${address} ${check.port ?? port} ${transport} ${textOf(check)}`;
}

/** Checks are many thousands of times the same object: their text is made once. */
const texts = new WeakMap<Check, string>();

function textOf(check: Check): string {
  const known = texts.get(check);
  if (known !== undefined) return known;
  const { port: _, ...rest } = check;
  const text = JSON.stringify(rest);
  texts.set(check, text);
  return text;
}
