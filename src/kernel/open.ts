import { Protocol } from 'netlink/dist/constants.js';
import { serviceKey } from '../core/kernel-state.ts';
import { applySteps, type OtherStep } from './apply.ts';
import { bootId } from './boot-id.ts';
import { readCardSpeed } from './card-speed.ts';
import { readConntrack } from './doctor/conntrack.ts';
import { readFirewall } from './doctor/firewall.ts';
import { readManagers } from './doctor/managers.ts';
import { availableModules, connectionTableBits } from './doctor/modules.ts';
import { readOffload } from './doctor/offload.ts';
import { KernelError } from './errors.ts';
import { type Ipvs, openIpvs } from './ipvs.ts';
import type { Kernel } from './kernel.ts';
import { announce, whoClaims, whoHas } from './neighbors.ts';
import { type Netlink, netlinkOver } from './netlink.ts';
import * as rtnetlink from './rtnetlink.ts';
import { readEstablished, readListeners } from './sock-diag.ts';
import { readSysctl, writeSysctl } from './sysctl.ts';
import { watchHost } from './watch.ts';
import { openWire } from './wire.ts';

/**
 * Opens this host's kernel. `ipvs: false` is for a real server, which needs no IPVS: what asks for it then fails. Throws
 * KernelError with exit code 3: EPERM, or EPROTONOSUPPORT for a kernel without IPVS.
 */
export function openKernel(options: { ipvs?: boolean } = {}): Kernel {
  const open: { close(): void }[] = [];
  const close = () => {
    for (const one of open.splice(0)) one.close();
  };
  const connect = (protocol: number): Netlink => {
    const netlink = netlinkOver(openWire(protocol));
    open.push(netlink);
    return netlink;
  };
  try {
    const routes = connect(Protocol.ROUTE);
    rtnetlink.needPrivilege(routes);
    const ipvs = options.ipvs === false ? withoutIpvs : openIpvs(connect(Protocol.GENERIC));
    const sockets = connect(Protocol.SOCK_DIAG);
    return {
      services: ipvs.services,
      serviceConfigs: async () => new Map(ipvs.serviceConfigs().map((entry) => [serviceKey(entry.id), entry])),
      addresses: () => rtnetlink.readAddresses(routes),
      links: () => rtnetlink.readLinks(routes),
      gateways: () => rtnetlink.readDefaultGateways(routes),
      routes: () => rtnetlink.readRoutes(routes),
      sysctl: readSysctl,
      apply: (steps) => applySteps(steps, { ipvs: ipvs.apply, other: (step) => applyOne(routes, step) }),
      whoHas: async (address, interfaceName) =>
        whoHas(address, interfaceName, {
          links: rtnetlink.readLinks(routes),
          addresses: rtnetlink.readAddresses(routes),
        }),
      whoClaims: async (addresses, interfaceName, full) => {
        const host = { links: rtnetlink.readLinks(routes), addresses: rtnetlink.readAddresses(routes) };
        return whoClaims(addresses, interfaceName, host, full);
      },
      listeners: (address, protocol) => readListeners(sockets, address, protocol),
      card: (interfaceName) => rtnetlink.readCard(routes, interfaceName),
      cardSpeed: readCardSpeed,
      established: (addresses) => readEstablished(sockets, addresses),
      vitals: {
        firewall: () => readFirewall(),
        managers: (name) => {
          const link = rtnetlink.readLinks(routes).find((one) => one.name === name);
          return link ? readManagers(name, link.index) : [];
        },
        modules: () => availableModules(),
        connectionTableBits: () => connectionTableBits(),
        offload: readOffload,
        conntrack: () => readConntrack(readSysctl),
      },
      watch(changed) {
        const watching = watchHost(changed);
        open.push(watching);
        return watching;
      },
      bootId,
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

function applyOne(routes: Netlink, step: OtherStep): void {
  if (step.op === 'add-address') rtnetlink.addAddress(routes, step, step.role);
  else if (step.op === 'delete-address') rtnetlink.deleteAddress(routes, step);
  else if (step.op === 'announce') announce(step.address, step.interface, rtnetlink.readLinks(routes));
  else if (step.op === 'set-sysctl') writeSysctl(step.key, step.value);
  else (step.op === 'add-route' ? rtnetlink.addRoute : rtnetlink.deleteRoute)(routes, step);
}

const refuse = (): never => {
  throw new KernelError('EPROTONOSUPPORT', 'this process uses no IPVS');
};
const withoutIpvs: Ipvs = { services: async () => refuse(), serviceConfigs: refuse, apply: refuse };
