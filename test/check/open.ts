import { createSocket } from 'node:dgram';
import { connect, type Socket } from 'node:net';
import { endianness } from 'node:os';
import koffi from 'koffi';
import type { Datagram, Open } from '../../src/check/open.ts';
import { codeOf } from '../../src/kernel/errors.ts';
import { AF_INET } from '../../src/kernel/socket-numbers.ts';

/** Everything that is opened goes to 127.0.0.1; `left` counts what nobody has closed yet. */
export function openLoopback(): Open & { left(): number } {
  const streams = new Set<Socket>();
  const datagrams = new Set<Datagram>();
  return {
    left: () => [...streams].filter((socket) => !socket.destroyed).length + datagrams.size,
    stream: async (port, signal) => {
      signal.throwIfAborted();
      const socket = connect({ host: '127.0.0.1', port });
      streams.add(socket);
      await new Promise<void>((resolve, reject) => {
        signal.addEventListener('abort', () => {
          socket.destroy();
          reject(signal.reason);
        });
        socket.once('connect', resolve).once('error', reject);
      });
      return socket.removeAllListeners('error');
    },
    datagram: (port) => {
      const datagram = openDatagram(port, () => datagrams.delete(datagram));
      datagrams.add(datagram);
      return datagram;
    },
    descriptor: async (port, protocol, signal) => {
      signal.throwIfAborted();
      return openDescriptor(port, protocol === 'tcp' ? SOCK_STREAM : SOCK_DGRAM);
    },
  };
}

function openDatagram(port: number, closed: () => void): Datagram {
  const socket = createSocket('udp4');
  const connected = new Promise<void>((resolve) => socket.connect(port, '127.0.0.1', resolve));
  const got: Uint8Array[] = [];
  let failure: Error | undefined;
  let wake = () => {};
  socket.on('message', (message) => {
    got.push(message);
    wake();
  });
  socket.on('error', (error) => {
    failure = error;
    wake();
  });
  return {
    send: (bytes) => connected.then(() => socket.send(bytes)),
    receive: async (signal) => {
      for (;;) {
        const next = got.shift();
        if (next) return next;
        if (failure) throw failure;
        signal.throwIfAborted();
        await new Promise<void>((resolve) => {
          wake = resolve;
          signal.addEventListener('abort', () => resolve(), { once: true });
        });
      }
    },
    close: () => {
      connected.then(() => socket.close());
      closed();
    },
  };
}

const libc = koffi.load(null);
const socketCall = libc.func('int socket(int domain, int type, int protocol)');
const connectCall = libc.func('int connect(int fd, const void *address, uint32_t length)');
const closeCall = libc.func('int close(int fd)');
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;

/** A connected socket that blocks, as a program expects its standard input to do. */
function openDescriptor(port: number, type: number): number {
  const fd: number = socketCall(AF_INET, type | SOCK_CLOEXEC, 0);
  const address = new DataView(new ArrayBuffer(16));
  address.setUint16(0, AF_INET, endianness() === 'LE');
  address.setUint16(2, port);
  address.setUint32(4, 0x7f000001);
  if (connectCall(fd, new Uint8Array(address.buffer), 16) === 0) return fd;
  const code = codeOf(koffi.errno());
  closeCall(fd);
  throw Object.assign(new Error(`connect: ${code}`), { code });
}
