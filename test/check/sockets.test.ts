import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { closeSync, readdirSync, readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import t from 'tap';
import { freePort } from '../../infra/lab/free-port.ts';
import { openThrough } from '../../src/check/sockets.ts';

const never = new AbortController().signal;
const files = () => readdirSync('/proc/self/fd').length;
/** A mark takes CAP_NET_ADMIN; without one none is set. */
const open = openThrough('127.0.0.1', 0);

async function listen(server: Server, host = '127.0.0.1'): Promise<number> {
  server.listen(0, host);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** Runs something many times, and sees that as many files are open as before. */
async function leavesNothing(name: string, act: () => Promise<unknown>): Promise<void> {
  await t.test(`no file stays open: ${name}`, async (t) => {
    await act();
    await new Promise((resolve) => setTimeout(resolve, 20));
    const before = files();
    for (let i = 0; i < 20; i++) await act();
    await new Promise((resolve) => setTimeout(resolve, 20));
    t.ok(files() <= before, `${before} before, ${files()} after`);
  });
}

const echo = createServer((socket) => socket.on('error', () => {}).pipe(socket));
const port = await listen(echo);
const closed = await freePort();
const udp = createSocket('udp4');
udp.bind(0, '127.0.0.1');
await once(udp, 'listening');
udp.on('message', (bytes, from) => udp.send(bytes, from.port, from.address));
const udpPort = udp.address().port;
t.teardown(() => {
  echo.close();
  udp.close();
});

await t.test('a stream carries bytes each way', async (t) => {
  const fresh = openThrough('127.0.0.1', 0);
  t.equal(fresh.connected, false);
  const socket = await fresh.stream(port, never);
  t.equal(fresh.connected, true);
  socket.write('hello');
  const [bytes] = await once(socket, 'data');
  t.equal(`${bytes}`, 'hello');
  socket.destroy();
});

await t.test('IPv6 too', async (t) => {
  const server = createServer((socket) => socket.on('error', () => {}).end('six'));
  const socket = await openThrough('::1', 0).stream(await listen(server, '::1'), never);
  t.equal(`${(await once(socket, 'data'))[0]}`, 'six');
  socket.destroy();
  server.close();
});

await t.test('a refusal has its code and says where', async (t) => {
  const refused = { code: 'ECONNREFUSED', message: new RegExp(`connect to 127.0.0.1:${closed}`) };
  await t.rejects(open.stream(closed, never), refused);
  await t.rejects(open.descriptor(closed, 'tcp', never), refused);
});

await t.test('a signal ends a connection that is being made, with its reason', async (t) => {
  const abort = new AbortController();
  const connecting = open.stream(port, abort.signal);
  abort.abort(new Error('time'));
  await t.rejects(connecting, { message: 'time' });
  await t.rejects(open.stream(port, abort.signal), { message: 'time' });
});

await t.test('datagrams go each way; a refusal comes as an error', async (t) => {
  const fresh = openThrough('127.0.0.1', 0);
  const socket = fresh.datagram(udpPort);
  socket.send(Buffer.from('hello'));
  t.equal(`${Buffer.from(await socket.receive(never))}`, 'hello');
  t.equal(fresh.connected, true);
  socket.close();
  socket.close();
  const none = open.datagram(closed);
  none.send(Buffer.from('hello'));
  await t.rejects(none.receive(never), { code: 'ECONNREFUSED' });
  none.close();
});

await t.test('a signal ends the wait for a datagram', async (t) => {
  const socket = open.datagram(closed);
  const abort = new AbortController();
  const waiting = socket.receive(abort.signal);
  abort.abort(new Error('time'));
  await t.rejects(waiting, { message: 'time' });
  socket.close();
});

await t.test('a descriptor blocks, as a program expects of its standard input', async (t) => {
  const late = createServer((socket) => setTimeout(() => socket.on('error', () => {}).end('late'), 50));
  const fd = await open.descriptor(await listen(late), 'tcp', never);
  const { flags = '' } = /^flags:\s+(?<flags>\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.groups ?? {
    flags: '',
  };
  t.equal(Number.parseInt(flags, 8) & 0o4000, 0, 'O_NONBLOCK is off');
  t.not(Number.parseInt(flags, 8) & 0o2000000, 0, 'closed on exec');
  closeSync(fd);
  late.close();
  closeSync(await open.descriptor(udpPort, 'udp', never));
});

await leavesNothing('streams', async () => {
  const socket = await open.stream(port, never);
  socket.destroy();
  await once(socket, 'close');
});
await leavesNothing('refused streams', () => open.stream(closed, never).catch(() => {}));
await leavesNothing('ended streams', async () => {
  const abort = new AbortController();
  const connecting = open.stream(port, abort.signal);
  abort.abort();
  await connecting.catch(() => {});
});
await leavesNothing('descriptors', async () => closeSync(await open.descriptor(port, 'tcp', never)));
await leavesNothing('refused descriptors', () => open.descriptor(closed, 'tcp', never).catch(() => {}));
await leavesNothing('datagrams', async () => {
  const socket = open.datagram(udpPort);
  socket.send(Buffer.from('x'));
  await socket.receive(never);
  socket.close();
});
await leavesNothing('ended datagrams', async () => {
  const socket = open.datagram(closed);
  const abort = new AbortController();
  const waiting = socket.receive(abort.signal);
  abort.abort();
  await waiting.catch(() => {});
  socket.close();
});
await leavesNothing('addresses that cannot be', () =>
  openThrough('0.0.0.0', 0)
    .stream(closed, never)
    .catch(() => {}),
);
