import { setImmediate } from 'node:timers/promises';
import { FlagsNew } from 'netlink/dist/constants.js';
import { familyOf, toBytes } from '../core/address.ts';
import { type Writer, writeAttributes, writeBytes } from './attributes.ts';
import { type Advice, codeOf, type KernelError, kernelError } from './errors.ts';
import { BATCH, type Netlink } from './netlink.ts';
import * as rt from './rt-attributes.ts';
import { AF_INET, AF_INET6 } from './socket-numbers.ts';

/** Packets of a mark go to one gateway, by a routing table whose number is the mark. */
export interface MarkedRoute {
  mark: number;
  gateway: string;
}

/** Equivalent to `ip route add default via GATEWAY dev LINK onlink table MARK` and `ip rule add fwmark MARK lookup MARK`. */
export function addMarkedRoutes(netlink: Netlink, routes: readonly MarkedRoute[], link: number): Promise<Failures> {
  const flags = FlagsNew.CREATE | FlagsNew.REPLACE;
  return inBatches(routes, (batch) =>
    refusalsOf(batch, 'route checks to', [
      netlink.batch(rt.RTM.NEWROUTE, batch, (to, route) => writeRoute(to, route, link), flags),
      netlink.batch(rt.RTM.NEWRULE, batch, writeRule, FlagsNew.CREATE | FlagsNew.EXCL),
    ]),
  );
}

/** The reverse of {@link addMarkedRoutes}; success for what is gone already. */
export function deleteMarkedRoutes(netlink: Netlink, routes: readonly MarkedRoute[], link: number): Promise<Failures> {
  return inBatches(routes, (batch) =>
    refusalsOf(batch, 'end the route of checks to', [
      netlink.batch(rt.RTM.DELRULE, batch, writeRule),
      netlink.batch(rt.RTM.DELROUTE, batch, (to, route) => writeRoute(to, route, link)),
    ]),
  );
}

/** What was refused, by gateway. */
export type Failures = Map<string, KernelError>;

async function inBatches(routes: readonly MarkedRoute[], each: (batch: MarkedRoute[]) => Failures): Promise<Failures> {
  const failures: Failures = new Map();
  for (let at = 0; at < routes.length; at += BATCH) {
    if (at > 0) await setImmediate();
    for (const [gateway, error] of each(routes.slice(at, at + BATCH))) failures.set(gateway, error);
  }
  return failures;
}

function refusalsOf(batch: MarkedRoute[], doing: string, answers: ReturnType<Netlink['batch']>[]): Failures {
  const failures: Failures = new Map();
  for (const refusals of answers)
    for (const [row, refusal] of refusals.entries())
      if (refusal && !alreadySo.includes(codeOf(refusal.errno))) {
        const { gateway } = batch[row]!;
        failures.set(gateway, kernelError(`${doing} ${gateway}`, refusal, advice));
      }
  return failures;
}

const alreadySo = ['EEXIST', 'ENOENT', 'ESRCH'];

const advice: Advice = {
  EAFNOSUPPORT: 'this kernel has no policy routing (CONFIG_IP_MULTIPLE_TABLES, CONFIG_IPV6_MULTIPLE_TABLES)',
  ENOTSUP: 'this kernel has no policy routing (CONFIG_IP_MULTIPLE_TABLES, CONFIG_IPV6_MULTIPLE_TABLES)',
  EINVAL: 'it cannot be a gateway on this network',
  EACCES: 'IPv6 is off on the prober’s interface',
  ENODEV: 'the prober’s interface is down or has no IPv6',
};

const family = (address: string): number => (familyOf(address) === 'ipv4' ? AF_INET : AF_INET6);

/** struct rtmsg (linux/rtnetlink.h): a default route that takes its gateway to be on the link. */
function writeRoute(to: Writer, { mark, gateway }: MarkedRoute, link: number): void {
  writeBytes(to, Uint8Array.of(family(gateway), 0, 0, 0, rt.RT_TABLE_UNSPEC, rt.RTPROT_STATIC, 0, rt.RTN_UNICAST));
  writeBytes(to, new Uint8Array(Uint32Array.of(rt.RTNH_F_ONLINK).buffer));
  writeAttributes(to, rt.RTA, { TABLE: mark, OIF: link, GATEWAY: Buffer.from(toBytes(gateway)) });
}

/** struct fib_rule_hdr (linux/fib_rules.h). All have one priority: at most one of them fits a packet. */
function writeRule(to: Writer, { mark, gateway }: MarkedRoute): void {
  writeBytes(to, Uint8Array.of(family(gateway), 0, 0, 0, rt.RT_TABLE_UNSPEC, 0, 0, rt.FR_ACT_TO_TBL, 0, 0, 0, 0));
  writeAttributes(to, rt.FRA, { PRIORITY: RULE_PRIORITY, FWMARK: mark, TABLE: mark });
}

// After the local table (0), before main (32766).
const RULE_PRIORITY = 100;
