import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import t from 'tap';
import { openKernel } from '../../src/kernel/open.ts';
import { ipJson, lab, sh, until, wiredHost } from './lab.ts';

interface IpStats {
  ifname: string;
  address: string;
  stats64: Record<'rx' | 'tx', { bytes: number; packets: number; errors: number; dropped: number }>;
}

lab(t, 'a card counted what ip says it counted', async (t) => {
  const kernel = openKernel({ ipvs: false });
  const host = wiredHost('eth0', 'peer0');
  t.teardown(host.close);
  sh('ip addr add 192.0.2.1/24 dev eth0');
  host.sh('ip addr add 192.0.2.2/24 dev peer0');
  const socket = createSocket('udp4');
  for (let i = 0; i < 5; i++) await new Promise((resolve) => socket.send(Buffer.alloc(1000), 9, '192.0.2.2', resolve));
  // They leave when the peer has answered for its address.
  await until(() => (kernel.card('eth0')?.txBytes ?? 0) > 5000, 10_000);
  socket.close();
  host.sh('ip link set peer0 down');
  const [said] = ipJson('-s link show dev eth0') as unknown as IpStats[];
  const { rx, tx } = said!.stats64;
  t.strictSame(kernel.card('eth0'), {
    interface: 'eth0',
    mac: said!.address,
    rxBytes: rx.bytes,
    txBytes: tx.bytes,
    rxPackets: rx.packets,
    txPackets: tx.packets,
    rxLost: rx.errors + rx.dropped,
    txLost: tx.errors + tx.dropped,
  });
  t.ok(tx.bytes > 5000);
  t.match(kernel.card('lo'), { interface: 'lo' });
  t.equal(kernel.card('eth9'), undefined);
  kernel.close();
});

lab(
  t,
  'established connections are those that ss sees, by address and port, also through a socket of both families',
  async (t) => {
    const [a, b, six] = ['192.0.2.100', '192.0.2.101', '2001:db8::100'];
    sh(`for a in ${a}/32 ${b}/32 ${six}/128; do ip addr add $a dev lo; done`);
    const kernel = openKernel({ ipvs: false });
    const servers = [createServer().listen(80, '::'), createServer().listen(81, a)];
    await Promise.all(servers.map((server) => once(server, 'listening')));
    const targets: [string, number, number][] = [[a, 80, 3], [a, 81, 2], [b, 80, 1], [six, 80, 4]]; // biome-ignore format: a table
    const sockets = targets.flatMap(([host, port, count]) => Array.from({ length: count }, () => connect(port, host)));
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    const found = kernel.established([a, b, six, '192.0.2.102']);
    for (const [host, port, count] of targets) {
      const family = host.includes(':') ? `[${host}]` : host;
      t.equal(found.get(host)?.get(port), count);
      t.equal(sh(`ss -Htn state established src ${family} sport = :${port} | wc -l`).trim(), `${count}`);
    }
    t.equal(found.get('192.0.2.102')?.size, 0);
    for (const one of sockets) one.destroy();
    for (const one of servers) one.close();
    kernel.close();
  },
);
