import { familyOf, hostPrefix, inNetwork } from '../core/address.ts';
import type { Agents } from '../core/agents.ts';
import {
  adjacencyFinding,
  agentFinding,
  cardSpeedFinding,
  clockFinding,
  defaultRouteFinding,
  lanFinding,
  mtuFinding,
  type Neighbor,
  vipSourceFinding,
} from '../core/doctor/across.ts';
import { hashFinding, ipvsFinding, type OpenPort, offloadFinding, openPortsFinding } from '../core/doctor/director.ts';
import type { Finding } from '../core/doctor/finding.ts';
import { firewallFinding } from '../core/doctor/firewall.ts';
import { managerFinding } from '../core/doctor/managers.ts';
import {
  connectionTableFinding,
  conntrackFinding,
  neighborTableFinding,
  synFloodFinding,
} from '../core/doctor/tables.ts';
import type { Finding as ProbeFinding } from '../core/health.ts';
import { type HostRoute, type Services, serviceId } from '../core/kernel-state.ts';
import { targetKey, targetOf } from '../core/targets.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { checkOf, isBalanced, isForwarded, type Pools } from '../schema.ts';
import type { Connect } from './local-check.ts';

/** What the doctor is told besides what it asks itself. */
export interface Patient {
  pools: Pools;
  services: Services;
  agents: Agents;
  findings: ReadonlyMap<string, ProbeFinding>;
  /** Milliseconds since the epoch. */
  now: number;
}

export interface DoctorOptions {
  kernel: Kernel;
  interface: string;
  connect: Connect;
}

/** A finding and the host that it is about: "director", or the name of a real server. */
export type HostFinding = Finding & { host: string };

/** Looks over the director, every real server as the director sees it, and what agents found of their hosts. */
export async function examine(options: DoctorOptions, patient: Patient): Promise<HostFinding[]> {
  const own = (await examineDirector(options, patient)).map((finding) => ({ ...finding, host: 'director' }));
  const seen = await examineRealServers(options, patient);
  const told = [...patient.agents].flatMap(([host, { lastReport, doctor }]) => {
    const speaks = agentFinding(host, lastReport, patient.now);
    return [speaks, ...(speaks.level === 'ok' ? (doctor?.findings ?? []) : [])].map((one) => ({ ...one, host }));
  });
  return [...own, ...seen, ...told];
}

/** The director alone; for `dsr-controller doctor` too. */
export async function examineDirector(
  { kernel, interface: name }: Omit<DoctorOptions, 'connect'>,
  { pools, services }: Pick<Patient, 'pools' | 'services'>,
): Promise<Finding[]> {
  const vips = [...new Set(Object.values(pools).map(({ vip }) => vip))];
  const { vitals } = kernel;
  const keys = ['net.ipv4.vs.drop_entry', 'net.ipv4.neigh.default.gc_thresh3'];
  const sysctls = new Map(keys.map((key) => [key, kernel.sysctl(key)]));
  const scheduled = Object.entries(pools).flatMap(([pool, { ports }]) =>
    Object.entries(ports).flatMap(([key, port]) => (isForwarded(port) ? [{ ...port, pool, key }] : [])),
  );
  const bits = vitals.connectionTableBits();
  const connections = [...services.values()].flatMap(({ destinations }) => destinations);
  const realServers = new Set(
    Object.values(pools).flatMap((pool) => Object.values(pool.realServers).map((rs) => rs.address)),
  );
  return [
    ipvsFinding(
      scheduled.map(({ scheduler }) => scheduler),
      availableSchedulers(vitals.modules(), services),
    ),
    hashFinding(scheduled),
    firewallFinding(await vitals.firewall(), vips),
    managerFinding(vitals.managers(name), name),
    offloadFinding(name, vitals.offload(name)?.lro),
    conntrackFinding(vitals.conntrack()),
    connectionTableFinding(
      bits === undefined
        ? undefined
        : { bits, connections: connections.reduce((sum, { connections: is }) => sum + is.active + is.inactive, 0) },
    ),
    synFloodFinding('director', sysctls),
    neighborTableFinding(realServers.size, sysctls),
    openPortsFinding(openPorts(kernel, pools)),
  ];
}

/** Schedulers that the kernel uses already, or can load. */
function availableSchedulers(modules: ReadonlySet<string>, services: Services): Set<string> {
  const used = [...services.values()].map(({ config }) => config.scheduler);
  return new Set([...used, ...[...modules].flatMap((name) => /^ip_vs_(.+)$/.exec(name)?.[1] ?? [])]);
}

/** What listens at a VIP of this host besides the pools' ports. */
function openPorts(kernel: Kernel, pools: Pools): OpenPort[] {
  const held = new Set(kernel.addresses().map(({ address }) => address));
  const named = new Map<string, Set<string>>();
  for (const { vip, ports } of Object.values(pools))
    if (held.has(vip)) named.set(vip, new Set([...(named.get(vip) ?? []), ...Object.keys(ports)]));
  return [...named].flatMap(([vip, ports]) =>
    (['tcp', 'udp'] as const).flatMap((protocol) =>
      [...kernel.listeners(vip, protocol).keys()]
        .filter((port) => !ports.has(`${port}/${protocol}`))
        .sort((a, b) => a - b)
        .map((port) => ({ vip, port, protocol })),
    ),
  );
}

async function examineRealServers(
  { kernel, interface: name, connect }: DoctorOptions,
  patient: Patient,
): Promise<HostFinding[]> {
  const { pools, agents, findings } = patient;
  const addresses = kernel.addresses();
  const local = new Set(addresses.map(({ address }) => address));
  const members = new Map<string, { name: string; address: string }>();
  for (const { realServers } of Object.values(pools))
    for (const [rs, { address }] of Object.entries(realServers))
      if (!local.has(address)) members.set(`${rs} ${address}`, { name: rs, address });
  const mtu = kernel.links().find((link) => link.name === name)?.mtu;
  const found: HostFinding[] = [];
  const neighbors = await lookAround(kernel, name, [...members.values()]).catch((error: Error) => {
    found.push({ ...lanFinding(name, error.message), host: 'director' });
    return [];
  });
  for (const neighbor of neighbors) {
    const { report } = agents.get(neighbor.name) ?? {};
    const of = (finding: Finding) => found.push({ ...finding, host: neighbor.name });
    of(adjacencyFinding(neighbor, name));
    of(mtuFinding(neighbor, { director: mtu, realServer: report?.mtu }, name));
  }
  const followed = new Set(
    Object.values(pools).flatMap((pool) => (pool.balance === 'headroom' ? Object.keys(pool.realServers) : [])),
  );
  for (const rs of new Set([...members.values()].map((member) => member.name))) {
    const { report, lastReport = null, doctor, speedMbit = null } = agents.get(rs) ?? {};
    if (followed.has(rs))
      found.push({ ...cardSpeedFinding(rs, lastReport === null ? undefined : speedMbit), host: rs });
    const skew = report?.clock !== undefined && lastReport !== null ? report.clock - lastReport : undefined;
    found.push(
      { ...clockFinding(rs, skew), host: rs },
      { ...defaultRouteFinding(rs, doctor?.gateways, local), host: rs },
    );
  }
  for (const [pool, { vip, ports, realServers }] of Object.entries(pools))
    for (const [rs, { address }] of Object.entries(realServers)) {
      const [key, port] =
        Object.entries(ports).find(([one, { policy }]) => one.endsWith('/tcp') && policy !== 'director') ?? [];
      const entry = pools[pool];
      if (key === undefined || !port || !isBalanced(port) || !entry || local.has(address)) continue;
      const check = checkOf(entry, key, port);
      const health = check && findings.get(targetKey(targetOf(vip, address, key, check)))?.health;
      const silent = health?.verdict === 'down' && !health.hard;
      const said = agents.get(rs)?.report.vips[vip];
      found.push({
        ...vipSourceFinding(rs, vip, address, {
          probe: health?.verdict,
          silent,
          attested: said?.present === true && said.suppressed && said.unreachable === undefined,
          own: silent ? ownOf(await connect(address, serviceId(vip, key).port, connectMs)) : undefined,
        }),
        host: rs,
      });
    }
  return found;
}

const connectMs = 1000;

const ownOf = (error: string | undefined) =>
  error === undefined ? 'accepts' : error === 'ECONNREFUSED' ? 'refuses' : 'silent';

/** Asks the LAN for real servers, with small and with full frames. */
async function lookAround(
  kernel: Kernel,
  name: string,
  members: { name: string; address: string }[],
): Promise<Neighbor[]> {
  const routes = kernel.routes();
  const near = members.filter(({ address }) => isOnLink(address, name, routes)).map(({ address }) => address);
  const heard = async (full: boolean) =>
    new Set((await kernel.whoClaims(near, name, full)).map(({ address }) => address));
  const small = await heard(false);
  const full = await heard(true);
  return members.map((member) => {
    const onLink = near.includes(member.address);
    const answers = small.has(member.address);
    return { ...member, onLink, answers, answersFull: answers ? full.has(member.address) : undefined };
  });
}

const isOnLink = (address: string, name: string, routes: readonly HostRoute[]) =>
  routes.some(
    (route) =>
      route.interface === name &&
      !route.gateway &&
      route.prefix > 0 &&
      familyOf(route.destination) === familyOf(address) &&
      route.prefix <= hostPrefix(address) &&
      inNetwork(address, `${route.destination}/${route.prefix}`),
  );
