import type { Kernel } from '../kernel/kernel.ts';
import type { Events } from '../store/events.ts';
import type { Look } from './facts.ts';

const askAgainMs = 3000;

/** Why the director does not have some VIPs, in words, by VIP. */
export type Blocked = Map<string, string>;

/** Asks the LAN before a VIP is taken, and remembers who answered. */
export interface VipGuard {
  /** Ethernet address of another host that answers, by VIP. */
  conflicts: ReadonlyMap<string, string>;
  /** Looks at the VIPs that the kernel does not have; answers which must not be taken now, and why. */
  check(vips: Iterable<string>, look: Look): Promise<Blocked>;
}

/** @param steady milliseconds that only grow */
export function createVipGuard(kernel: Kernel, interfaceName: string, events: Events, steady: () => number): VipGuard {
  const conflicts = new Map<string, string>();
  const asked = new Map<string, number>();

  const ask = async (vip: string): Promise<void> => {
    if (conflicts.has(vip) && steady() - (asked.get(vip) ?? 0) < askAgainMs) return;
    asked.set(vip, steady());
    const mac = await kernel.whoHas(vip, interfaceName);
    const known = conflicts.get(vip);
    if (mac === known) return;
    if (mac) {
      conflicts.set(vip, mac);
      events.add('vip-conflict', conflictWords(vip, mac), { vip });
    } else {
      conflicts.delete(vip);
      events.add('vip-free', `no other host answers for ${vip} any more: taking it`, { vip });
    }
  };

  return {
    conflicts,
    check: async (vips, look) => {
      const blocked: Blocked = new Map();
      const link = look.links.find(({ name }) => name === interfaceName);
      const present = new Map(look.addresses.map((a) => [a.address, a]));
      const missing = [...vips].filter((vip) => !present.has(vip) || present.get(vip)?.dadFailed);
      for (const vip of conflicts.keys()) if (!missing.includes(vip)) conflicts.delete(vip);
      const reason = !link
        ? `this host has no interface "${interfaceName}": it is waited for; if it never comes, correct the setting "interface"`
        : link.up
          ? undefined
          : `the interface ${interfaceName} is down: ip link set ${interfaceName} up`;
      if (reason) for (const vip of missing) blocked.set(vip, reason);
      else
        for (const [vip, error] of await failuresOf(missing, ask))
          blocked.set(vip, `it cannot be asked whether another host has ${vip}, so it is not taken: ${error.message}`);
      for (const [vip, mac] of conflicts) blocked.set(vip, conflictWords(vip, mac));
      return blocked;
    },
  };
}

/** Asks for all at once; answers those that could not be asked, and why. */
async function failuresOf(vips: readonly string[], ask: (vip: string) => Promise<void>): Promise<[string, Error][]> {
  const asked = await Promise.allSettled(vips.map(ask));
  return asked.flatMap((result, i) => (result.status === 'rejected' ? [[vips[i] ?? '', result.reason as Error]] : []));
}

const conflictWords = (vip: string, mac: string) =>
  `another host on the LAN answers for ${vip}: ${mac}. It is not taken here until that stops; find that host (a real server without ARP suppression, or the old proxy) and take the address off it`;
