import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import t from 'tap';
import type { Protocol } from '../../src/core/kernel-state.ts';
import { openKernel } from '../../src/kernel/open.ts';
import { lab, sh } from './lab.ts';

const VIP = '192.0.2.100';
const VIP6 = '2001:db8::100';

async function tcp(port: number, host: string, ipv6Only = false) {
  const server = createServer().listen({ port, host, ipv6Only });
  await once(server, 'listening');
  return server;
}

async function udp(type: 'udp4' | 'udp6', port: number, address: string, ipv6Only = false) {
  const socket = createSocket({ type, ipv6Only });
  socket.bind(port, address);
  await once(socket, 'listening');
  return socket;
}

lab(t, 'a port has a listener when a socket takes what comes to the address', async (t) => {
  sh(`ip addr add ${VIP}/32 dev lo; ip addr add ${VIP6}/128 dev lo; ip addr add 192.0.2.11/32 dev lo`);
  const kernel = openKernel({ ipvs: false });
  const ports = (address: string, protocol: Protocol) => [...kernel.listeners(address, protocol).keys()].sort();
  const bound = (address: string, protocol: Protocol, port: number) => kernel.listeners(address, protocol).get(port);
  t.strictSame([ports(VIP, 'tcp'), ports(VIP6, 'udp')], [[], []]);
  const servers = [
    await tcp(1001, VIP),
    await tcp(1002, '0.0.0.0'),
    await tcp(1003, '192.0.2.11'),
    await tcp(1004, VIP6),
    await tcp(1005, '::'),
    await tcp(1006, '::', true),
    await tcp(1007, `::ffff:${VIP}`),
    await udp('udp4', 2001, VIP),
    await udp('udp4', 2002, '0.0.0.0'),
    await udp('udp4', 2003, '192.0.2.11'),
    await udp('udp6', 2004, VIP6),
    await udp('udp6', 2005, '::'),
    await udp('udp6', 2006, '::', true),
  ];
  const connected = await udp('udp4', 2007, VIP);
  connected.connect(9, '192.0.2.11');
  await once(connected, 'connect');
  t.strictSame(ports(VIP, 'tcp'), [1001, 1002, 1005, 1007]);
  t.strictSame(ports(VIP6, 'tcp'), [1004, 1005, 1006]);
  t.strictSame(ports(VIP, 'udp'), [2001, 2002, 2005]);
  t.strictSame(ports(VIP6, 'udp'), [2004, 2005, 2006]);
  t.strictSame([bound(VIP, 'udp', 2001), bound(VIP, 'udp', 2002)], ['address', 'wildcard']);
  const heard = sh('ss -Hltn').trim().split('\n').length;
  t.equal(heard, 7, 'ss sees the same sockets');
  for (const one of [...servers, connected]) one.close();
  kernel.close();
});

lab(t, 'many listeners are all seen', async (t) => {
  const kernel = openKernel({ ipvs: false });
  const servers = await Promise.all(Array.from({ length: 800 }, (_, n) => tcp(3000 + n, '0.0.0.0')));
  t.equal(kernel.listeners(VIP, 'tcp').size, 800);
  for (const server of servers) server.close();
  kernel.close();
});
