import type { AgentDesired, VipReport } from '../schema.ts';
import { familyOf, hostPrefix, inNetwork, notUnicast } from './address.ts';
import type { Desired } from './director.ts';
import { sysctlName } from './director.ts';
import { type ActualAddress, type HostRoute, type Link, type Protocol, routeKey, serviceId } from './kernel-state.ts';
import { nothingDesired } from './ledger.ts';

/** What an agent knows of its host besides what the controller wants. */
export interface HostFacts {
  addresses: readonly ActualAddress[];
  links: readonly Link[];
  routes: readonly HostRoute[];
  /** Interface that carries the real server's address; undefined: found by that address. */
  interface: string | undefined;
  /** Networks that a VIP may lie in; undefined: any VIP of the controller's pools. */
  allowedVips: readonly string[] | undefined;
  /** Addresses that this host needs for something else (gateways, DNS servers, the controller), each with the word for it. */
  reserved: ReadonlyMap<string, string>;
}

/** What this real server's kernel must look like, and why some VIPs are refused. */
export interface RealServerDesired {
  desired: Desired;
  /** Reason by VIP, in words. */
  refused: Map<string, string>;
}

// arp_ignore 1: answer only for addresses of the interface that was asked; arp_announce 2: never name the VIP as sender
// (kernel Documentation/networking/ip-sysctl.rst). The kernel takes the larger of "all" and the interface. arp_ignore 2
// suppresses too, but does not answer a prober whose address is of another network (arp_ignore() in net/ipv4/arp.c).
const suppression = [
  { name: 'arp_ignore', value: '1', alsoFine: ['2'] },
  { name: 'arp_announce', value: '2', alsoFine: [] },
] as const;

export function desiredRealServer(
  wanted: AgentDesired,
  host: HostFacts,
  sysctls: ReadonlyMap<string, string | undefined>,
): RealServerDesired {
  const desired = nothingDesired();
  const refused = new Map<string, string>();
  for (const { vip, address } of wanted.vips) {
    const reason = refusal(vip, address, host);
    if (reason) refused.set(vip, reason.words);
    if (reason?.kind === 'never') continue;
    desired.vips.add(vip);
    if (!reason) desired.addresses.set(vip, { address: vip, prefix: hostPrefix(vip), interface: 'lo' });
    const card = interfaceOf(address, host);
    const isNear = wanted.probers.every(
      (prober) => familyOf(prober) === 'ipv6' || (card !== undefined && isOnNetworkOf(card, prober, host)),
    );
    if (familyOf(vip) === 'ipv4')
      for (const { key, value, alsoFine } of rulesOf(card)) {
        const is = sysctls.get(key);
        desired.sysctls.set(key, (isNear && alsoFine.find((fine) => fine === is)) || value);
      }
    if (reason || card === undefined) continue;
    for (const prober of wanted.probers)
      if (
        familyOf(prober) === familyOf(vip) &&
        isProbers(prober) &&
        !host.reserved.has(prober) &&
        !isOnNetworkOf(card, prober, host)
      )
        desired.routes.set(routeKey({ address: prober, interface: card }), { address: prober, interface: card });
  }
  return { desired, refused };
}

/**
 * Whether an address is one of those that probers have of themselves (prober-address.ts). No other gets a route here: a
 * director that has turned evil could draw to itself what this host sends elsewhere.
 */
const isProbers = (address: string): boolean =>
  inNetwork(address, 'fd00::/8') || (inNetwork(address, '169.254.0.0/16') && !inNetwork(address, '169.254.169.0/24'));

/** Whether the host reaches an address directly by that interface, by a route to its network. */
function isOnNetworkOf(interfaceName: string, address: string, { routes }: HostFacts): boolean {
  return routes.some(
    (route) =>
      route.interface === interfaceName &&
      !route.gateway &&
      route.prefix > 0 &&
      route.prefix < hostPrefix(address) &&
      inNetwork(address, `${route.destination}/${route.prefix}`),
  );
}

/** The sysctls that keep a host from answering ARP for a VIP on lo, for the interface that carries its own address. */
export function suppressionKeys(interfaceName: string | undefined): string[] {
  return rulesOf(interfaceName).map(({ key }) => key);
}

function rulesOf(interfaceName: string | undefined) {
  const devices = interfaceName === undefined ? ['all'] : ['all', sysctlName(interfaceName)];
  return devices.flatMap((dev) => suppression.map((rule) => ({ ...rule, key: `net.ipv4.conf.${dev}.${rule.name}` })));
}

/** Interface that carries `address`, or the configured one. */
export function interfaceOf(address: string, host: HostFacts): string | undefined {
  return host.interface ?? host.addresses.find((a) => a.address === address && a.interface !== 'lo')?.interface;
}

/** Interface by which replies leave: that of the default route, where it is another one than carries `address`. */
export function repliesBy(vip: string, address: string, host: HostFacts): string | undefined {
  const name = interfaceOf(address, host);
  const defaults = defaultRoutes(familyOf(vip), host);
  return defaults.length === 0 || defaults.some((route) => route.interface === name) ? name : defaults[0]?.interface;
}

const defaultRoutes = (family: string, { routes }: HostFacts) =>
  routes.filter(({ prefix, destination }) => prefix === 0 && familyOf(destination) === family);

/** "never": the VIP must not be on this host. "not-yet": nothing is added, and nothing taken away, until it can be. */
interface Refusal {
  kind: 'never' | 'not-yet';
  words: string;
}

function refusal(vip: string, address: string, host: HostFacts): Refusal | undefined {
  const never = (words: string): Refusal => ({ kind: 'never', words });
  const elsewhere = host.addresses.find((a) => a.address === vip && a.interface !== 'lo');
  if (elsewhere) {
    const remedy = `ip addr del ${vip}/${elsewhere.prefix} dev ${elsewhere.interface}`;
    return never(
      `${vip} is on ${elsewhere.interface} of this host, where it answers ARP; a real server has it on lo only: ${remedy}`,
    );
  }
  const use = host.reserved.get(vip);
  if (use) return never(`${vip} is this host's ${use}; it cannot be a VIP here`);
  const kind = notUnicast(vip);
  if (kind) return never(`${vip} is ${kind}; it cannot be a VIP`);
  if (host.allowedVips && !host.allowedVips.some((network) => inNetwork(vip, network)))
    return never(
      `${vip} lies outside the networks of "allowedVips" in this agent's config (${host.allowedVips.join(', ') || 'none'})`,
    );
  const name = interfaceOf(address, host);
  if (!name)
    return {
      kind: 'not-yet',
      words: `no interface of this host has ${address}, the real server's address in the pool; correct the pool, or give the host that address`,
    };
  if (!host.links.some((link) => link.name === name))
    return {
      kind: 'not-yet',
      words: `this host has no interface "${name}" yet; if it never will, correct "interface" in the agent's config`,
    };
  return undefined;
}

/** What of this host's sockets take what comes to an address, by port. */
export type Listeners = (address: string, protocol: Protocol) => ReadonlyMap<number, 'address' | 'wildcard'>;

/** What the agent reports of each VIP: read from the kernel, never from what was meant to be done. */
export function vipReports(
  wanted: AgentDesired,
  host: HostFacts,
  sysctls: ReadonlyMap<string, string | undefined>,
  problems: ReadonlyMap<string, string>,
  listeners: Listeners,
): Record<string, VipReport> {
  return Object.fromEntries(
    wanted.vips.map(({ vip, address, ports }) => {
      const present = host.addresses.some((a) => a.address === vip && a.interface === 'lo');
      const suppressed = familyOf(vip) === 'ipv6' || isSuppressed(interfaceOf(address, host), sysctls);
      const problem = problems.get(vip);
      const unreachable = droppedBy(vip, address, host, sysctls);
      const { listening, warnings } = listeningOn(vip, address, ports, listeners);
      return [
        vip,
        {
          present,
          suppressed,
          ...(problem && { problem: problem.slice(0, 500) }),
          listening,
          ...(unreachable && { unreachable: unreachable.slice(0, 500) }),
          ...(warnings.length > 0 && { warnings }),
        },
      ];
    }),
  );
}

function listeningOn(vip: string, address: string, ports: readonly string[], listeners: Listeners) {
  const listening: NonNullable<VipReport['listening']> = {};
  const warnings: string[] = [];
  for (const key of ports) {
    const { port, protocol } = serviceId(vip, key);
    const bound = listeners(vip, protocol).get(port);
    listening[key] = bound ? 'vip' : listeners(address, protocol).has(port) ? 'own-address-only' : 'nothing';
    if (bound === 'wildcard' && protocol === 'udp')
      warnings.push(
        `the server on ${key} listens on all addresses: unless it takes care to answer from the address that it was asked on, its replies come from ${address} and clients ignore them; let it listen on ${vip} too`,
      );
  }
  return { listening, warnings };
}

/**
 * Why the reverse path filter would drop what comes to the VIP: strict, and the way back to clients or the prober leaves
 * by another interface (ip-sysctl.rst, rp_filter; the kernel takes the larger of "all" and the interface).
 */
function droppedBy(
  vip: string,
  address: string,
  host: HostFacts,
  sysctls: ReadonlyMap<string, string | undefined>,
): string | undefined {
  const name = interfaceOf(address, host);
  if (name === undefined || familyOf(vip) === 'ipv6') return undefined;
  const keys = reversePathKeys(name);
  if (Math.max(...keys.map((key) => Number(sysctls.get(key) ?? 0))) !== 1) return undefined;
  const defaults = defaultRoutes('ipv4', host);
  if (defaults.length === 0 || defaults.some((route) => route.interface === name)) return undefined;
  const mend = keys.map((key) => `sysctl -w ${key}=2`).join('; ');
  return `its default route is by ${defaults[0]?.interface}, and rp_filter=1 drops clients' packets that come in by ${name}: ${mend}`;
}

/** The sysctls of the reverse path filter of an interface. */
export function reversePathKeys(interfaceName: string | undefined): string[] {
  const devices = interfaceName === undefined ? ['all'] : ['all', sysctlName(interfaceName)];
  return devices.map((device) => `net.ipv4.conf.${device}.rp_filter`);
}

function isSuppressed(interfaceName: string | undefined, sysctls: ReadonlyMap<string, string | undefined>): boolean {
  const keys = suppressionKeys(interfaceName);
  return suppression.every(({ name, value, alsoFine }) => {
    const values = keys.filter((key) => key.endsWith(`.${name}`)).map((key) => Number(sysctls.get(key) ?? 0));
    const effective = String(Math.max(...values));
    return effective === value || alsoFine.some((fine) => fine === effective);
  });
}
