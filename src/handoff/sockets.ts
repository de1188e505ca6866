import { Socket } from 'node:net';

/** The part of node's own handle of a socket that its API does not show. */
interface Handle {
  fd: number;
  reading: boolean;
  readStart(): void;
  readStop(): void;
}

const handleOf = (socket: Socket): Handle | null => (socket as unknown as { _handle: Handle | null })._handle;

/** Undefined once the socket is closed. */
export const fdOf = (socket: Socket): number | undefined => {
  const fd = handleOf(socket)?.fd;
  return fd !== undefined && fd >= 0 ? fd : undefined;
};

/** From now on nothing is read from the kernel. */
export function stopReading(socket: Socket): void {
  const handle = handleOf(socket);
  if (!handle) return;
  // Node, which believes this, would start to read again with the next read() of its stream.
  handle.reading = true;
  handle.readStop();
}

export function startReading(socket: Socket): void {
  const handle = handleOf(socket);
  if (!handle) return;
  handle.reading = true;
  handle.readStart();
}

/** Node's socket for a connection that is there already; it takes the descriptor. */
export function adopt(fd: number): Socket {
  const socket = new Socket({ fd, allowHalfOpen: true });
  socket.setNoDelay(true);
  return socket;
}
