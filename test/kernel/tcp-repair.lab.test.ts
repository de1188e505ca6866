import { once } from 'node:events';
import { createServer, Socket } from 'node:net';
import t, { type Test } from 'tap';
import type { Tuple } from '../../src/core/handoff/tcp-state.ts';
import * as repair from '../../src/kernel/tcp-repair.ts';
import { freshNetwork, lab, plainNode, sh, sleep, until, wiredHost } from './lab.ts';

const vip = '192.0.2.1';
const client = '192.0.2.2';

const fdOf = (socket: Socket): number => (socket as unknown as { _handle: { fd: number } })._handle.fd;
const handleOf = (socket: Socket) =>
  (socket as unknown as { _handle: { readStop(): void; readStart(): void; reading: boolean } })._handle;

/** A client in a host of its own, connected to us. `said` is what it got so far. */
async function connected(t: Test, code: string) {
  freshNetwork();
  const host = wiredHost('eth0', 'peer0');
  t.teardown(() => host.close());
  sh(`ip addr add ${vip}/24 dev eth0; sysctl -qw net.ipv4.tcp_tw_reuse=1`);
  host.sh(`ip addr add ${client}/24 dev peer0`);
  const server = createServer({ allowHalfOpen: true, noDelay: true }).listen(80, vip);
  await once(server, 'listening');
  const child =
    host.spawn(`${plainNode} -e "const s = require('net').connect({ host: '${vip}', port: 80, allowHalfOpen: true });
    process.stdin.on('data', (d) => s.write(d)); s.on('error', (e) => console.log(e.code));
    s.on('data', (d) => process.stdout.write(d)); s.on('end', () => process.stdout.write('END')); ${code}"`);
  t.teardown(() => child.kill('SIGKILL'));
  let said = '';
  child.stdout?.on('data', (data) => {
    said += data;
  });
  const [socket] = (await once(server, 'connection')) as [Socket];
  const tuple: Tuple = { vip, port: 80, client, clientPort: socket.remotePort ?? 0 };
  t.teardown(() => server.close());
  return { host, server, child, socket, tuple, said: () => said, write: (text: string) => child.stdin?.write(text) };
}

const freeze = (socket: Socket) => {
  handleOf(socket).readStop();
  repair.freeze(fdOf(socket));
};

lab(t, 'a connection that is taken apart here goes on in another socket, with what was not read', async (t) => {
  const { host, socket, tuple, said, write } = await connected(t, '');
  write('one ');
  const [first] = await once(socket, 'data');
  t.equal(String(first), 'one ');
  socket.write('answer ');
  t.ok(await until(() => said() === 'answer ' && repair.unacknowledged(fdOf(socket)) === 0, 5000));
  handleOf(socket).readStop();
  write('two ');
  t.ok(await until(() => /^4 +0 +192.0.2.1:80 /m.test(sh('ss -Htn state established')), 5000), 'it lies in the kernel');
  const before = sh('ss -Htino state established');
  repair.freeze(fdOf(socket));
  const { tcp, unread } = repair.dump(fdOf(socket));
  t.equal(String(unread), 'two ');
  t.match(before, new RegExp(`wscale:${tcp.scale?.send},${tcp.scale?.receive} `));
  t.match(before, new RegExp(`mss:${tcp.segment - (tcp.timestamp === null ? 0 : 12)} `));
  t.equal(tcp.selectiveAcks, /\bsack\b/.test(before));
  t.equal(tcp.timestamp !== null, /\bts\b/.test(before));
  t.equal(tcp.ended, false);
  write('three');
  await sleep(50);
  t.equal(repair.receiveNextOf(fdOf(socket)), tcp.receiveNext, 'nothing slips in');
  socket.destroy();
  await once(socket, 'close');
  const fd = repair.restore(tuple, tcp);
  repair.thaw(fd);
  const second = new Socket({ fd, allowHalfOpen: true });
  const [rest] = await once(second, 'data');
  t.equal(String(rest), 'three', 'what was dropped meanwhile is sent again by the client');
  second.write('and more');
  t.ok(await until(() => said() === 'answer and more', 5000));
  t.notMatch(said(), /ECONNRESET|END/);
  t.match(sh('ss -Htin state established'), new RegExp(`wscale:${tcp.scale?.send},${tcp.scale?.receive} `));
  second.end();
  t.ok(await until(() => said().endsWith('END'), 5000));
  t.notMatch(host.sh('ss -Htn state established'), /:80/);
  second.destroy();
});

lab(
  t,
  'a frozen connection that is thawed goes on as before, and a listener can be started anew beside it',
  async (t) => {
    const { server, socket, said, write } = await connected(t, '');
    write('a');
    await once(socket, 'data');
    freeze(socket);
    repair.dump(fdOf(socket));
    write('b');
    await sleep(30);
    repair.thaw(fdOf(socket));
    handleOf(socket).readStart();
    const [data] = await once(socket, 'data');
    t.equal(String(data), 'b');
    socket.write('ok');
    t.ok(await until(() => said() === 'ok', 5000));
    server.close();
    const again = createServer().listen(80, vip);
    await once(again, 'listening');
    again.close();
    socket.destroy();
  },
);

lab(t, 'a connection whose client has sent its FIN is moved with its end', async (t) => {
  const { socket, tuple, said } = await connected(t, "s.end('bye');");
  await once(socket, 'data');
  t.ok(await until(() => /CLOSE-WAIT/.test(sh('ss -Htan')), 5000));
  freeze(socket);
  const { tcp } = repair.dump(fdOf(socket));
  t.equal(tcp.ended, true);
  socket.destroy();
  await once(socket, 'close');
  const fd = repair.restore(tuple, tcp);
  repair.thaw(fd);
  const second = new Socket({ fd, allowHalfOpen: true }).end('answer');
  t.ok(await until(() => said() === 'answerEND', 5000), said());
  second.destroy();
});

lab(t, 'what is closed while frozen or restored sends nothing', async (t) => {
  const { host, socket, tuple, said, write } = await connected(t, '');
  write('x');
  await once(socket, 'data');
  freeze(socket);
  const { tcp } = repair.dump(fdOf(socket));
  socket.destroy();
  await once(socket, 'close');
  repair.close(repair.restore(tuple, tcp));
  await sleep(100);
  t.equal(said(), '');
  t.match(host.sh('ss -Htn state established'), /192.0.2.1:80/, 'the client knows nothing');
});

lab(t, 'refusals are told in words', async (t) => {
  const { socket, tuple } = await connected(t, '');
  t.throws(() => repair.freeze(-1), { code: 'EBADF' });
  repair.freeze(fdOf(socket));
  const { tcp } = repair.dump(fdOf(socket));
  t.throws(() => repair.restore(tuple, tcp), { message: /^cannot connect to 192.0.2.2/ }, 'the tuple is taken');
  t.throws(() => repair.restore({ ...tuple, vip: '192.0.2.77' }, tcp), { code: 'EADDRNOTAVAIL' });
  socket.destroy();
});
