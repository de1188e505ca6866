import { GENL_HEADER_LENGTH, readU32, readU32be } from 'netlink/dist/structs.js';
import { fromBytes } from '../core/address.ts';
import type {
  ActualDestination,
  ForwardingMethod,
  Protocol,
  SchedulerBit,
  ServiceConfig,
  ServiceId,
  Traffic,
} from '../core/kernel-state.ts';
import { readAttributes, type Values } from './attributes.ts';
import { malformed } from './errors.ts';
import { CMD_ATTR, CONN_F, CONN_F_FWD_MASK, type SVC_ATTR, SVC_F, SVC_F_SCHED } from './ipvs-attributes.ts';
import type { Message } from './messages.ts';
import { AF_INET, AF_INET6, IPPROTO } from './socket-numbers.ts';

/** A service without its destinations. */
export interface ServiceEntry {
  id: ServiceId;
  config: ServiceConfig;
  traffic: Traffic;
}

/** The text of an address as IPVS sends it, or undefined for a family that is neither IPv4 nor IPv6. */
export type AddressText = (bytes: Buffer | undefined, family: number | undefined) => string | undefined;

/** Reads a service; undefined for one by firewall mark or of a protocol other than TCP and UDP. Throws KernelError EBADMSG. */
export function readService(message: Message, text: AddressText): ServiceEntry | undefined {
  const { SERVICE } = attributesOf(message);
  if (!SERVICE) throw malformed('no service');
  const { FWMARK, PROTOCOL, PORT, ADDR, AF } = SERVICE;
  const protocol = PROTOCOL === undefined ? undefined : protocols.get(PROTOCOL);
  if (FWMARK !== undefined || !protocol) return undefined;
  const vip = text(ADDR, AF);
  if (vip === undefined || PORT === undefined) throw malformed('a service without address or port');
  return { id: { vip, port: PORT, protocol }, config: readConfig(SERVICE), traffic: readTraffic(SERVICE) };
}

/** Reads a destination of a service at `vip`. Throws KernelError EBADMSG. */
export function readDestination(message: Message, vip: string, text: AddressText): ActualDestination {
  const { DEST } = attributesOf(message);
  // Kernels before 3.18 do not name the family: it is the service's.
  const address = text(DEST?.ADDR, DEST?.ADDR_FAMILY ?? (vip.includes(':') ? AF_INET6 : AF_INET));
  const method = methods.get((DEST?.FWD_METHOD ?? -1) & CONN_F_FWD_MASK);
  if (DEST?.PORT === undefined || address === undefined || !method) throw malformed('an incomplete destination');
  return {
    address,
    port: DEST.PORT,
    method,
    weight: DEST.WEIGHT ?? 0,
    upperThreshold: DEST.U_THRESH ?? 0,
    lowerThreshold: DEST.L_THRESH ?? 0,
    connections: {
      active: DEST.ACTIVE_CONNS ?? 0,
      inactive: DEST.INACT_CONNS ?? 0,
      persistent: DEST.PERSIST_CONNS ?? 0,
    },
  };
}

/** An {@link AddressText} that makes each text once: a table repeats its addresses many times. */
export function addressTexts(): AddressText {
  const known = new Map<number | string, string>();
  return (bytes, family) => {
    if (!bytes || bytes.length < 16) return undefined;
    if (family !== AF_INET && family !== AF_INET6) return undefined;
    const key = family === AF_INET ? readU32.call(bytes, 0) : bytes.toString('latin1', 0, 16);
    let text = known.get(key);
    if (text === undefined) {
      text = fromBytes(bytes.subarray(0, family === AF_INET ? 4 : 16));
      known.set(key, text);
    }
    return text;
  };
}

const attributesOf = ({ buffer, start, end }: Message) =>
  readAttributes(CMD_ATTR, buffer, start + GENL_HEADER_LENGTH, end);

type ServiceValues = Values<typeof SVC_ATTR>;

function readConfig({ AF, FLAGS, TIMEOUT, NETMASK, SCHED_NAME }: ServiceValues): ServiceConfig {
  if (!FLAGS || FLAGS.length < 4 || !NETMASK || NETMASK.length < 4)
    throw malformed('a service without flags or netmask');
  const flags = readU32.call(FLAGS, 0);
  return {
    scheduler: SCHED_NAME ?? '',
    schedulerBits: schedulerBits.filter((bit) => (flags & SVC_F_SCHED[bit]) !== 0),
    persistenceSeconds: (flags & SVC_F.PERSISTENT) !== 0 ? (TIMEOUT ?? 0) : 0,
    persistencePrefix: AF === AF_INET ? prefixOf(NETMASK) : readU32.call(NETMASK, 0),
    onePacket: (flags & SVC_F.ONEPACKET) !== 0,
  };
}

/** Length of an IPv4 netmask in network order; 0 for one with holes, which IPVS does not refuse. */
function prefixOf(netmask: Buffer): number {
  const holes = ~readU32be.call(netmask, 0);
  return (holes & (holes + 1)) === 0 ? Math.clz32(holes) : 0;
}

function readTraffic({ STATS64, STATS }: ServiceValues): Traffic {
  const stats = STATS64 ?? STATS;
  return { connections: stats?.CONNS ?? 0, packetsIn: stats?.INPKTS ?? 0, bytesIn: stats?.INBYTES ?? 0 };
}

const protocols: ReadonlyMap<number, Protocol> = new Map([
  [IPPROTO.tcp, 'tcp'],
  [IPPROTO.udp, 'udp'],
]);

const methods: ReadonlyMap<number, ForwardingMethod> = new Map(
  Object.entries(CONN_F).map(([method, number]) => [number, method as ForwardingMethod]),
);

const schedulerBits = Object.keys(SVC_F_SCHED) as SchedulerBit[];
