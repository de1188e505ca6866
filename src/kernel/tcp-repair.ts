import { endianness } from 'node:os';
import type { TcpState, Tuple } from '../core/handoff/tcp-state.ts';
import { kernelError } from './errors.ts';
import { sockaddr } from './inet.ts';
import * as libc from './libc.ts';
import { attachFilter, detachFilter, nothing } from './socket-filter.ts';
import * as N from './socket-numbers.ts';

/**
 * Takes a TCP connection apart and puts it together elsewhere, by TCP_REPAIR (net/ipv4/tcp.c, and criu.org/TCP_connection).
 * Needs CAP_NET_ADMIN; CONFIG_CHECKPOINT_RESTORE is not needed. Every function may throw KernelError.
 */

/** Of a frozen connection: its state, and what came that nobody has read yet. */
export interface Frozen {
  tcp: TcpState;
  unread: Buffer;
}

/** Bytes that were sent and that the client has not acknowledged. */
export const unacknowledged = (fd: number): number => queued(fd, N.SIOCOUTQ);

/**
 * Lets nothing in or out any more: what the client sends meanwhile is dropped, and sent again by it. A delayed ACK goes
 * out first: later it would carry a younger timestamp than the next owner's packets, which the client then drops (RFC 7323,
 * PAWS).
 */
export function freeze(fd: number): void {
  must('freeze a connection', attachFilter(fd, nothing));
  set(fd, N.TCP_QUICKACK, 1);
  set(fd, N.TCP_REPAIR, N.REPAIR.on);
}

/** Reads a frozen connection. Throws KernelError EPIPE in a state other than ESTABLISHED and CLOSE_WAIT. */
export function dump(fd: number): Frozen {
  const info = get(fd, N.TCP_INFO, 8);
  const state = info[0] ?? 0;
  if (state !== N.TCP_STATE.established && state !== N.TCP_STATE.closeWait)
    throw kernelError(`hand over a connection in TCP state ${state}`, { errno: 32 });
  const options = info[5] ?? 0;
  const scales = info[6] ?? 0;
  const has = (bit: number) => (options & bit) !== 0;
  const word = (name: number) => new DataView(get(fd, name, 4).buffer).getUint32(0, LITTLE);
  const segment = word(N.TCP_MAXSEG);
  const timestamp = has(N.TCPI_OPT.TIMESTAMPS) ? word(N.TCP_TIMESTAMP) : null;
  const window = words(get(fd, N.TCP_REPAIR_WINDOW, 20));
  const unread = readUnread(fd);
  set(fd, N.TCP_REPAIR_QUEUE, N.QUEUE.receive);
  const receiveNext = word(N.TCP_QUEUE_SEQ);
  set(fd, N.TCP_REPAIR_QUEUE, N.QUEUE.send);
  const sendNext = word(N.TCP_QUEUE_SEQ);
  const [sendUpdate = 0, send = 0, most = 0, receive = 0, receiveUpdate = 0] = window;
  return {
    tcp: {
      receiveNext,
      sendNext,
      segment,
      selectiveAcks: has(N.TCPI_OPT.SACK),
      scale: has(N.TCPI_OPT.WSCALE) ? { send: scales & 0xf, receive: scales >> 4 } : null,
      timestamp,
      window: { sendUpdate, send, most, receive, receiveUpdate },
      ended: state === N.TCP_STATE.closeWait,
    },
    unread,
  };
}

/** The next sequence number that a frozen connection waits for: later than in its dump when something slipped in. */
export function receiveNextOf(fd: number): number {
  set(fd, N.TCP_REPAIR_QUEUE, N.QUEUE.receive);
  return new DataView(get(fd, N.TCP_QUEUE_SEQ, 4).buffer).getUint32(0, LITTLE);
}

/** Lets a frozen or restored connection go on, without a packet of its own. */
export function thaw(fd: number): void {
  set(fd, N.TCP_REPAIR, N.REPAIR.offWithoutProbe);
  // Leaving repair mode clears it, and then no listener could be started on the port as long as the connection lasts.
  must('thaw a connection', libc.setsockopt(fd, N.SOL_SOCKET, N.SO_REUSEADDR, libc.int32(1)));
  must('thaw a connection', detachFilter(fd));
}

/** A frozen connection with this state, beside whatever listens there; the caller closes it, which sends nothing. */
export function restore({ vip, port, client, clientPort }: Tuple, tcp: TcpState): number {
  const family = vip.includes(':') ? N.AF_INET6 : N.AF_INET;
  const fd = must('restore a connection', libc.socket(family, N.SOCK.tcp, 0));
  try {
    must('restore a connection', attachFilter(fd, nothing));
    set(fd, N.TCP_REPAIR, N.REPAIR.on);
    must(`take ${vip} for a connection`, libc.bind(fd, sockaddr({ address: vip, port })));
    set(fd, N.TCP_REPAIR_QUEUE, N.QUEUE.receive);
    set(fd, N.TCP_QUEUE_SEQ, tcp.receiveNext);
    set(fd, N.TCP_REPAIR_QUEUE, N.QUEUE.send);
    set(fd, N.TCP_QUEUE_SEQ, tcp.sendNext);
    // Before connect(), which computes the size of the segments from it. Within what may be set (do_tcp_setsockopt); the
    // client's own limit, which may be beyond, comes with the options below.
    set(fd, N.TCP_MAXSEG, Math.min(32_767, Math.max(88, tcp.segment)));
    must(`connect to ${client}`, libc.connect(fd, sockaddr({ address: client, port: clientPort })));
    setBytes(fd, N.TCP_REPAIR_OPTIONS, optionsOf(tcp));
    // Ahead of what the client may have seen, or it drops the first segments (PAWS).
    if (tcp.timestamp !== null) set(fd, N.TCP_TIMESTAMP, tcp.timestamp + clockLeadMs);
    set(fd, N.TCP_REPAIR_QUEUE, N.QUEUE.none);
    const { sendUpdate, send, most, receive, receiveUpdate } = tcp.window;
    setBytes(fd, N.TCP_REPAIR_WINDOW, Uint32Array.of(sendUpdate, send, most, receive, receiveUpdate));
    return fd;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

/** As {@link restore} left it: a frozen connection is gone without a word. */
export const close = (fd: number): number => libc.close(fd);

const clockLeadMs = 250;
const LITTLE = endianness() === 'LE';

/** struct tcp_repair_opt[] (linux/tcp.h). */
function optionsOf({ selectiveAcks, scale, timestamp, segment }: TcpState): Uint32Array {
  const options: number[] = [];
  if (selectiveAcks) options.push(N.TCPOPT.SACK_PERM, 0);
  if (scale) options.push(N.TCPOPT.WINDOW, scale.send | (scale.receive << 16));
  if (timestamp !== null) options.push(N.TCPOPT.TIMESTAMP, 0);
  options.push(N.TCPOPT.MSS, segment);
  return Uint32Array.from(options);
}

function readUnread(fd: number): Buffer {
  const length = queued(fd, N.SIOCINQ);
  if (length <= 0) return Buffer.alloc(0);
  set(fd, N.TCP_REPAIR_QUEUE, N.QUEUE.receive);
  const bytes = Buffer.alloc(length);
  return bytes.subarray(0, must('read what came for a connection', libc.peek(fd, bytes)));
}

function queued(fd: number, request: number): number {
  const count = new Int32Array(1);
  must('ask what a connection has waiting', libc.ioctl(fd, request, new Uint8Array(count.buffer)));
  return count[0]!;
}

const words = (bytes: Uint8Array): Uint32Array => new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);

function get(fd: number, name: number, bytes: number): Uint8Array {
  const into = new Uint8Array(bytes);
  must('read the state of a connection', libc.getsockoptInto(fd, N.SOL_TCP, name, into));
  return into;
}

const set = (fd: number, name: number, value: number): void => setBytes(fd, name, Uint32Array.of(value >>> 0));

function setBytes(fd: number, name: number, value: Uint32Array): void {
  must('write the state of a connection', libc.setsockopt(fd, N.SOL_TCP, name, new Uint8Array(value.buffer)));
}

function must(doing: string, result: number): number {
  if (result < 0) throw kernelError(doing, { errno: -result });
  return result;
}
