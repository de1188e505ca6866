import koffi from 'koffi';

// The C library that node itself is linked to, so the same for glibc and musl. koffi has no ssize_t: intptr_t is as wide.
const libc = koffi.load(null);

const socketCall = libc.func('int socket(int domain, int type, int protocol)');
const bindCall = libc.func('int bind(int fd, const void *address, uint32_t length)');
const setsockoptCall = libc.func('int setsockopt(int fd, int level, int name, const void *value, uint32_t length)');
const sendCall = libc.func('intptr_t send(int fd, const void *bytes, size_t length, int flags)');
const recvCall = libc.func('intptr_t recv(int fd, void *into, size_t length, int flags)');
const connectCall = libc.func('int connect(int fd, const void *address, uint32_t length)');
const getsockoptCall = libc.func('int getsockopt(int fd, int level, int name, void *value, void *length)');
const fcntlCall = libc.func('int fcntl(int fd, int command, ...)');
const ioctlCall = libc.func('int ioctl(int fd, unsigned long request, ...)');
const listenCall = libc.func('int listen(int fd, int backlog)');
const closeCall = libc.func('int close(int fd)');

const MSG_PEEK = 0x2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const MSG_TRUNC = 0x20;
const F_GETFL = 3;
const F_SETFL = 4;
const O_NONBLOCK = SOCK_NONBLOCK;

/** The call's own result, or -errno where libc says -1. */
const result = (value: number | bigint): number => (Number(value) < 0 ? -koffi.errno() : Number(value));

/** socket(2); every socket of this module does not block and is closed on exec. All functions answer -errno on failure. */
export const socket = (domain: number, type: number, protocol: number): number =>
  result(socketCall(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));

/** bind(2) to a sockaddr. */
export const bind = (fd: number, address: Uint8Array): number => result(bindCall(fd, address, address.length));

/** connect(2) to a sockaddr. */
export const connect = (fd: number, address: Uint8Array): number => result(connectCall(fd, address, address.length));

/** getsockopt(2) of a 32-bit integer that is never below zero. */
export function getsockopt(fd: number, level: number, name: number): number {
  const value = new Int32Array(1);
  const failed = result(getsockoptCall(fd, level, name, value, Uint32Array.of(value.byteLength)));
  return failed < 0 ? failed : value[0]!;
}

/** getsockopt(2) of a structure; how much of it the kernel filled. */
export function getsockoptInto(fd: number, level: number, name: number, into: Uint8Array): number {
  const length = Uint32Array.of(into.byteLength);
  const failed = result(getsockoptCall(fd, level, name, into, length));
  return failed < 0 ? failed : length[0]!;
}

/** listen(2). */
export const listen = (fd: number, backlog: number): number => result(listenCall(fd, backlog));

/** Makes the socket's calls wait, by clearing O_NONBLOCK (fcntl(2)). */
export function makeBlocking(fd: number): number {
  const flags = result(fcntlCall(fd, F_GETFL));
  return flags < 0 ? flags : result(fcntlCall(fd, F_SETFL, 'int', flags & ~O_NONBLOCK));
}

/** setsockopt(2). */
export const setsockopt = (fd: number, level: number, name: number, value: Uint8Array): number =>
  result(setsockoptCall(fd, level, name, value, value.length));

/** send(2) of the first `length` bytes. */
export const send = (fd: number, bytes: Uint8Array, length = bytes.length): number =>
  result(sendCall(fd, bytes, length, 0));

/** recv(2) with MSG_TRUNC: the length of the whole datagram, which is more than `into` holds when it was cut short. */
export const recv = (fd: number, into: Uint8Array): number => result(recvCall(fd, into, into.length, MSG_TRUNC));

/** recv(2) that leaves what it read in the socket (MSG_PEEK). */
export const peek = (fd: number, into: Uint8Array): number => result(recvCall(fd, into, into.length, MSG_PEEK));

/** ioctl(2) with a structure. */
export const ioctl = (fd: number, request: number, structure: Uint8Array): number =>
  result(ioctlCall(fd, request, 'void *', structure));

/** close(2). */
export const close = (fd: number): number => result(closeCall(fd));

/** Calls back from the event loop, without a thread, whenever there is something to read or an error to collect with recv. */
export function onReadable(fd: number, readable: () => void): { close(): void } {
  const handle = koffi.node.poll(fd, READABLE, wake);
  // After an error, such as ENOBUFS, libuv stops polling and says so by a status below zero (uv__poll_io, src/unix/poll.c).
  function wake(status: unknown): void {
    if (Number(status) < 0) handle.start(READABLE, wake);
    readable();
  }
  return handle;
}

/** Calls back once from the event loop when a connection that was begun has been made, or has failed. */
export function onWritable(fd: number, writable: () => void): { close(): void } {
  let open = true;
  const close = () => {
    if (open) handle.close();
    open = false;
  };
  const handle = koffi.node.poll(fd, WRITABLE, () => {
    close();
    writable();
  });
  return { close };
}

const WRITABLE = { readable: false, writable: true, disconnect: false };
const READABLE = { readable: true, writable: false, disconnect: false };

/** Where a buffer's bytes lie, for a structure that points to it. The buffer must outlive the use. */
export const addressOf = (buffer: Uint8Array): bigint => koffi.address(buffer);

/** The 32-bit integer in host order that most socket options are. */
export const int32 = (value: number): Uint8Array => new Uint8Array(Int32Array.of(value).buffer);
