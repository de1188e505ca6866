import { setTimeout as sleep } from 'node:timers/promises';
import { Protocol } from 'netlink/dist/constants.js';
import type { Family } from '../core/address.ts';
import type { Link } from '../core/kernel-state.ts';
import type { ProberAddress } from '../core/prober-address.ts';
import { bringUp } from './child-link.ts';
import { KernelError } from './errors.ts';
import { answersNow } from './neighbor-state.ts';
import { type Netlink, netlinkOver } from './netlink.ts';
import { addMarkedRoutes, deleteMarkedRoutes, type Failures, type MarkedRoute } from './routes.ts';
import { addAddress, readLinks } from './rtnetlink.ts';
import { readSysctl, writeSysctl } from './sysctl.ts';
import { openWire } from './wire.ts';

/** The network namespace that this process, the prober's, has to itself. Every method may throw KernelError. */
export interface ProberNetwork {
  /** Why a family cannot be used, in words. */
  trouble: Partial<Record<Family, string>>;
  /** The link; undefined when it is gone. */
  link(): Link | undefined;
  add(routes: readonly MarkedRoute[]): Promise<Failures>;
  delete(routes: readonly MarkedRoute[]): Promise<Failures>;
  /** Whether a neighbor answers ARP or ND; undefined when that cannot be told. */
  answers(address: string): Promise<boolean | undefined>;
}

/** rtnetlink of this process's network namespace. Throws KernelError. */
export const openRoutes = (): Netlink => netlinkOver(openWire(Protocol.ROUTE));

/** Brings up lo and the link, which has come from outside, and gives it its addresses. Throws KernelError. */
export async function openProberNetwork(
  name: string,
  addresses: Record<Family, ProberAddress>,
  linkLocal: ProberAddress,
): Promise<ProberNetwork> {
  const netlink = openRoutes();
  const find = (wanted: string) => readLinks(netlink).find((link) => link.name === wanted);
  const link = find(name);
  const lo = find('lo');
  if (!link || !lo)
    throw new KernelError('ENODEV', `the interface ${lo ? name : 'lo'} is not in the prober's namespace`);
  setSysctls(name);
  bringUp(netlink, lo);
  await whenFree(() => bringUp(netlink, link));
  const trouble: ProberNetwork['trouble'] = {};
  for (const family of ['ipv4', 'ipv6'] as const)
    try {
      for (const address of family === 'ipv4' ? [addresses.ipv4] : [linkLocal, addresses.ipv6])
        await whenFree(() => addAddress(netlink, { ...address, interface: name }, 'prober'));
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      trouble[family] = error.message;
    }
  return {
    trouble,
    link: () => readLinks(netlink).find(({ index }) => index === link.index),
    add: (routes) => addMarkedRoutes(netlink, routes, link.index),
    delete: (routes) => deleteMarkedRoutes(netlink, routes, link.index),
    answers: (address) => answersNow(netlink, address, link.index, ANSWER_MS),
  };
}

// A little more than the kernel asks for: three questions, 100 ms apart.
const ANSWER_MS = 400;

/** Without these checks fail. */
function setSysctls(link: string): void {
  for (const where of ['all', 'default', link]) set(`net.ipv4.conf.${where}.rp_filter`, '0');
  for (const [key, value] of useful(link))
    try {
      set(key, value);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
    }
}

/** These make checks quicker, or proof against others on the network. */
const useful = (link: string): [key: string, value: string][] => [
  ...['all', link].flatMap((where): [string, string][] => [
    [`net.ipv4.conf.${where}.accept_redirects`, '0'],
    [`net.ipv6.conf.${where}.accept_redirects`, '0'],
    [`net.ipv6.conf.${where}.accept_ra`, '0'],
    [`net.ipv6.conf.${where}.disable_ipv6`, '0'],
  ]),
  // A host that does not answer ARP or ND is known after 300 ms in place of 3 s (arp(7): three questions).
  [`net.ipv4.neigh.${link}.retrans_time_ms`, '100'],
  [`net.ipv6.neigh.${link}.retrans_time_ms`, '100'],
  // What one real server is like says nothing of the next behind the same VIP.
  ['net.ipv4.tcp_no_metrics_save', '1'],
  ['net.ipv4.ip_local_port_range', '1024 65535'],
];

function set(key: string, value: string): void {
  if (readSysctl(key)?.replace(/\s+/g, ' ') !== value) writeSysctl(key, value);
}

/** Waits for the link of a predecessor, whose namespace the kernel takes down after its end, to give the address back. */
async function whenFree(act: () => void): Promise<void> {
  const end = performance.now() + FREE_MS;
  for (;;)
    try {
      act();
      return;
    } catch (error) {
      if (!(error instanceof KernelError) || error.code !== 'EADDRINUSE' || performance.now() > end) throw error;
      await sleep(20);
    }
}

const FREE_MS = 5000;
