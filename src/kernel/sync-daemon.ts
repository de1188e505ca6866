import { FlagsNew, Protocol } from 'netlink/dist/constants.js';
import { GENL_HEADER_LENGTH } from 'netlink/dist/structs.js';
import { readAttributes, type Values, type Writer, writeAttributes, writeBytes } from './attributes.ts';
import { bringUp } from './child-link.ts';
import { KernelError } from './errors.ts';
import { familyId } from './genl.ts';
import { CMD, CMD_ATTR, type DAEMON_ATTR, FAMILY, STATE_BACKUP } from './ipvs-attributes.ts';
import { writeCommand } from './ipvs-encode.ts';
import { type Netlink, netlinkOver } from './netlink.ts';
import * as rt from './rt-attributes.ts';
import { readLinks } from './rtnetlink.ts';
import { readSysctl, writeSysctl } from './sysctl.ts';
import { openWire } from './wire.ts';

/** The kernel's thread that takes entries of the table of connections from the network, on an interface of its own. */
export interface SyncDaemon {
  interface: string;
  /** Number of that interface. */
  index: number;
  syncId: number;
  /** Whether the kernel still has it. Throws KernelError. */
  isThere(): boolean;
  /** Ends the thread and removes the interface; the entries stay. */
  stop(): void;
}

const linkName = 'dsr-sync';
const syncId = 88;
const bufferKey = 'net.ipv4.vs.sync_sock_size';
/** Of the thread's socket; net.core.rmem_max may allow less. */
const bufferBytes = 4 << 20;

/**
 * Equivalent to `ip link add dsr-sync type dummy`, `ip link set dsr-sync up` and `ipvsadm --start-daemon backup
 * --mcast-interface dsr-sync --syncid 88`; what an earlier run left of it is taken over. Throws KernelError, EBUSY where
 * another backup daemon runs, of which a kernel can have one.
 */
export function startSyncDaemon(): SyncDaemon {
  const routes = netlinkOver(openWire(Protocol.ROUTE));
  const generic = netlinkOver(openWire(Protocol.GENERIC));
  try {
    const index = makeLink(routes);
    startDaemon(generic);
    return {
      interface: linkName,
      index,
      syncId,
      isThere: () => daemons(generic).some(isOurs),
      stop() {
        try {
          command(generic, 'stop the sync daemon', CMD.DEL_DAEMON, { STATE: STATE_BACKUP });
        } catch (error) {
          // A thread that has not run yet ends with EINTR (kthread_stop), which netlink_rcv_skb leaves without an answer.
          if (daemons(generic).some(isOurs)) throw error;
        }
        removeLink(routes, index);
        routes.close();
        generic.close();
      },
    };
  } catch (error) {
    routes.close();
    generic.close();
    throw error;
  }
}

/** A link that leads nowhere: what is sent on it is heard by this host alone. */
function makeLink(routes: Netlink): number {
  const write = (to: Writer) => {
    writeBytes(to, new Uint8Array(rt.IFINFOMSG_BYTES));
    writeAttributes(to, rt.NEW_IFLA, { IFNAME: linkName, LINKINFO: { KIND: 'dummy' } });
  };
  const doing = `add the interface ${linkName} for the sync daemon`;
  const flags = FlagsNew.CREATE | FlagsNew.EXCL;
  const missing = 'this kernel has no dummy interfaces: load the module with `modprobe dummy`';
  const advice = { ENOTSUP: missing };
  allowing(['EEXIST'], () => routes.ask({ doing, type: rt.RTM.NEWLINK, flags, write, advice }));
  const index = readLinks(routes).find(({ name }) => name === linkName)?.index;
  if (index === undefined) throw new KernelError('ENODEV', `cannot ${doing}: it is not there`);
  bringUp(routes, { index, name: linkName });
  return index;
}

function removeLink(routes: Netlink, index: number): void {
  const bytes = new Uint8Array(rt.IFINFOMSG_BYTES);
  bytes.set(new Uint8Array(Int32Array.of(index).buffer), 4);
  allowing(['ENODEV'], () =>
    routes.ask({
      doing: `remove the interface ${linkName}`,
      type: rt.RTM.DELLINK,
      write: (to) => writeBytes(to, bytes),
    }),
  );
}

function startDaemon(generic: Netlink): void {
  const running = daemons(generic).find(({ STATE }) => STATE === STATE_BACKUP);
  if (running) {
    if (isOurs(running)) return;
    throw new KernelError(
      'EBUSY',
      `cannot start the sync daemon: one runs already on ${running.MCAST_IFN} (ipvsadm -L --daemon), and a kernel has one; connections cannot be handed over beside it`,
    );
  }
  const before = readSysctl(bufferKey);
  if (before !== undefined && Number(before) < bufferBytes) writeSysctl(bufferKey, String(bufferBytes));
  command(generic, 'start the sync daemon', CMD.NEW_DAEMON, {
    STATE: STATE_BACKUP,
    MCAST_IFN: linkName,
    SYNC_ID: syncId,
  });
}

type Daemon = Values<typeof DAEMON_ATTR>;

const isOurs = ({ STATE, MCAST_IFN, SYNC_ID }: Daemon): boolean =>
  STATE === STATE_BACKUP && MCAST_IFN === linkName && SYNC_ID === syncId;

function daemons(generic: Netlink): Daemon[] {
  const write = (to: Writer) => writeCommand(to, CMD.GET_DAEMON);
  return generic.dump({ doing: 'read the sync daemons', type: family(generic), write }, ({ buffer, start, end }) => {
    return readAttributes(CMD_ATTR, buffer, start + GENL_HEADER_LENGTH, end).DAEMON;
  });
}

function command(generic: Netlink, doing: string, number: number, DAEMON: Daemon): void {
  generic.ask({
    doing,
    type: family(generic),
    write: (to) => {
      writeCommand(to, number);
      writeAttributes(to, CMD_ATTR, { DAEMON });
    },
  });
}

function family(generic: Netlink): number {
  const id = familyId(generic, FAMILY);
  if (id === undefined)
    throw new KernelError('EPROTONOSUPPORT', 'this kernel has no IPVS: load it with `modprobe ip_vs`');
  return id;
}

function allowing(codes: readonly string[], act: () => void): void {
  try {
    act();
  } catch (error) {
    if (!(error instanceof KernelError && codes.includes(error.code))) throw error;
  }
}
