import { Socket } from 'node:net';
import { openDatagrams } from '../kernel/datagrams.ts';
import { connectError, openConnection, type Peer, resetOnClose, whenConnected } from '../kernel/inet.ts';
import { close, makeBlocking } from '../kernel/libc.ts';
import type { Open } from './open.ts';

/** An {@link Open} that knows whether anything ever answered it. */
export interface ProbeOpen extends Open {
  /** Some connection was made, so the way there and back is good. */
  readonly connected: boolean;
}

/** Connections to `vip` that are routed by `mark`, which in the prober's namespace leads to one real server. */
export function openThrough(vip: string, mark: number): ProbeOpen {
  let answered = false;

  const connect = async (port: number, protocol: Peer['protocol'], signal: AbortSignal): Promise<number> => {
    signal.throwIfAborted();
    const peer = { address: vip, port, protocol, mark };
    const { fd, connecting } = openConnection(peer);
    try {
      if (connecting) await whenConnected(fd, peer, signal);
    } catch (error) {
      close(fd);
      throw error;
    }
    answered ||= protocol === 'tcp';
    return fd;
  };

  return {
    get connected() {
      return answered;
    },
    async stream(port, signal) {
      const fd = await connect(port, 'tcp', signal);
      try {
        resetOnClose(fd);
        return new Socket({ fd, readable: true, writable: true });
      } catch (error) {
        close(fd);
        throw error;
      }
    },
    datagram(port) {
      const socket = openDatagrams({ address: vip, port, mark });
      return {
        send: socket.send,
        receive: async (signal) => {
          const bytes = await socket.receive(signal);
          answered = true;
          return bytes;
        },
        close: socket.close,
      };
    },
    async descriptor(port, protocol, signal) {
      const fd = await connect(port, protocol, signal);
      const failed = makeBlocking(fd);
      if (failed === 0) return fd;
      close(fd);
      throw connectError({ address: vip, port, protocol, mark }, -failed);
    },
  };
}
