import { performance } from 'node:perf_hooks';
import { serviceId } from '../src/core/kernel-state.ts';
import type { Kernel } from '../src/kernel/kernel.ts';
import type { AgentDesired, Report } from '../src/schema.ts';

/** What goes through this host: the half of the traffic that the director never sees. */
export interface Meter {
  /**
   * Never throws: what cannot be read is left out, and told.
   *
   * @param replies the interface by which they leave
   * @param own the one with the host's address, by whose Ethernet address the host is known
   */
  read(
    replies: string | undefined,
    own: string | undefined,
    vips: AgentDesired['vips'],
  ): Pick<Report, 'card' | 'connections'>;
}

/** Tens of thousands of sockets take a while to list: no oftener than 5 % of a core allows. */
const listShare = 20;

/**
 * @param speedMbit of the card; undefined: what its driver says
 * @param failed told why something cannot be read, once
 */
export function createMeter(
  kernel: Pick<Kernel, 'card' | 'cardSpeed' | 'established'>,
  speedMbit: number | undefined,
  failed: (error: Error) => void,
  steady = () => performance.now(),
): Meter {
  let trouble = '';
  let connections: Report['connections'];
  let listAt = 0;

  const list = (vips: AgentDesired['vips']): void => {
    const began = steady();
    if (began < listAt) return;
    const found = kernel.established(vips.map(({ vip }) => vip));
    connections = Object.fromEntries(
      vips.map(({ vip, ports }) => {
        const tcp = ports.filter((key) => key.endsWith('/tcp'));
        return [vip, Object.fromEntries(tcp.map((key) => [key, found.get(vip)?.get(serviceId(vip, key).port) ?? 0]))];
      }),
    );
    listAt = began + (steady() - began) * listShare;
  };

  const cardAt = (name: string | undefined) => (name === undefined ? undefined : kernel.card(name));

  return {
    read: (replies, own, vips) => {
      try {
        list(vips);
        const at = steady();
        const counters = cardAt(replies);
        const speed = speedMbit ?? kernel.cardSpeed(replies ?? '') ?? null;
        const mac = (own === replies ? undefined : cardAt(own)?.mac) ?? counters?.mac;
        return {
          ...(counters && mac && { card: { ...counters, mac, speedMbit: speed, at } }),
          ...(connections && { connections }),
        };
      } catch (error) {
        const { message } = error as Error;
        if (message !== trouble) failed(error as Error);
        trouble = message;
        return {};
      }
    },
  };
}
