import { familyOf, hostPrefix, isAddress, toBytes } from '../core/address.ts';
import type { Destination, ServiceConfig, ServiceId } from '../core/kernel-state.ts';
import type { Step } from '../core/steps.ts';
import { type Values, type Writer, writeAttributes } from './attributes.ts';
import {
  CMD,
  CMD_ATTR,
  CONN_F,
  type DEST_ATTR,
  SCHEDNAME_MAXLEN,
  type SVC_ATTR,
  SVC_F,
  SVC_F_SCHED,
  VERSION,
} from './ipvs-attributes.ts';
import { AF_INET, AF_INET6, IPPROTO } from './socket-numbers.ts';

export type IpvsStep = Extract<Step, { service: ServiceId }>;

export const isIpvsStep = (step: Step): step is IpvsStep => 'service' in step;

/** Writes a step as IPVS wants it, after the netlink header. Throws an Error in words for a step that no kernel should get. */
export function writeStep(to: Writer, step: IpvsStep): void {
  writeCommand(to, commands[step.op]);
  writeAttributes(to, CMD_ATTR, attributesOf(step));
}

/** Writes a generic netlink header (struct genlmsghdr): command, version, two bytes unused. */
export function writeCommand(to: Writer, command: number): void {
  to.buffer[to.at++] = command;
  to.buffer[to.at++] = VERSION;
  to.buffer[to.at++] = 0;
  to.buffer[to.at++] = 0;
}

/** Writes a question about one service. */
export function writeServiceQuestion(to: Writer, command: number, id: ServiceId): void {
  writeCommand(to, command);
  writeAttributes(to, CMD_ATTR, { SERVICE: serviceId(id) });
}

const commands = {
  'add-service': CMD.NEW_SERVICE,
  'set-service': CMD.SET_SERVICE,
  'delete-service': CMD.DEL_SERVICE,
  'add-destination': CMD.NEW_DEST,
  'set-destination': CMD.SET_DEST,
  'delete-destination': CMD.DEL_DEST,
} as const satisfies Record<IpvsStep['op'], number>;

function attributesOf(step: IpvsStep): Values<typeof CMD_ATTR> {
  const SERVICE = serviceId(step.service);
  switch (step.op) {
    case 'add-service':
    case 'set-service':
      return { SERVICE: Object.assign(SERVICE, serviceConfig(step.service, step.config)) };
    case 'delete-service':
      return { SERVICE };
    case 'add-destination':
    case 'set-destination':
      return { SERVICE, DEST: destination(step.service, step.destination) };
    case 'delete-destination':
      return { SERVICE, DEST: destinationId(step) };
  }
}

const serviceId = ({ vip, port, protocol }: ServiceId): Values<typeof SVC_ATTR> => ({
  AF: kernelFamily(vip),
  PROTOCOL: IPPROTO[protocol],
  ADDR: addressBytes(vip),
  PORT: port,
});

/** All of it every time: IPVS has no partial updates (ip_vs_genl_parse_service, net/netfilter/ipvs/ip_vs_ctl.c). */
function serviceConfig({ vip, port }: ServiceId, config: ServiceConfig): Values<typeof SVC_ATTR> {
  if (port === 0 && config.persistenceSeconds === 0) throw new Error('port 0, which is every port, needs persistence');
  if (!/^[\w-]+$/.test(config.scheduler) || config.scheduler.length >= SCHEDNAME_MAXLEN)
    throw new Error(`"${config.scheduler}" is no name of a scheduler`);
  return {
    SCHED_NAME: config.scheduler,
    FLAGS: words(flagsOf(config), 0xffff_ffff),
    TIMEOUT: config.persistenceSeconds,
    NETMASK: netmaskBytes(vip, config.persistencePrefix),
  };
}

function flagsOf({ persistenceSeconds, onePacket, schedulerBits }: ServiceConfig): number {
  let flags = 0;
  if (persistenceSeconds > 0) flags |= SVC_F.PERSISTENT;
  if (onePacket) flags |= SVC_F.ONEPACKET;
  for (const bit of schedulerBits) flags |= SVC_F_SCHED[bit];
  return flags;
}

function netmaskBytes(vip: string, prefix: number): Buffer {
  const bits = hostPrefix(vip);
  if (!Number.isInteger(prefix) || prefix < 1 || prefix > bits)
    throw new Error(`persistence prefix ${prefix} is not from 1 to ${bits}`);
  if (bits === 128) return words(prefix);
  const mask = 2 ** 32 - 2 ** (32 - prefix);
  return Buffer.of(mask / 2 ** 24, mask >>> 16, mask >>> 8, mask);
}

function destination({ vip }: ServiceId, to: Destination): Values<typeof DEST_ATTR> {
  if (familyOf(to.address) !== familyOf(vip) && to.method !== 'tunneling')
    throw new Error(`${to.address} and ${vip} are of two address families, which only tunneling can join`);
  // Written out: a spread of destinationId() takes twice as long.
  return {
    ADDR: addressBytes(to.address),
    PORT: to.port,
    FWD_METHOD: CONN_F[to.method],
    WEIGHT: to.weight,
    U_THRESH: to.upperThreshold,
    L_THRESH: to.lowerThreshold,
    ADDR_FAMILY: kernelFamily(to.address),
  };
}

const destinationId = ({ address, port }: { address: string; port: number }): Values<typeof DEST_ATTR> => ({
  ADDR: addressBytes(address),
  PORT: port,
  ADDR_FAMILY: kernelFamily(address),
});

const kernelFamily = (address: string) => (familyOf(address) === 'ipv4' ? AF_INET : AF_INET6);

function addressBytes(address: string): Buffer {
  if (!isAddress(address)) throw new Error(`"${address}" is no address`);
  const bytes = Buffer.alloc(16);
  bytes.set(toBytes(address));
  return bytes;
}

const words = (...values: number[]) => Buffer.from(Uint32Array.from(values).buffer);
