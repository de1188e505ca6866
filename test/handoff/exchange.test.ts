import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import t from 'tap';
import { createExchange } from '../../src/handoff/exchange.ts';

t.test('a client that another host could not reach under its address stays', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const sent: unknown[] = [];
  const exchange = createExchange({
    channel: { send: (frame) => sent.push(frame) },
    refusal: () => undefined,
    taken: () => {},
    log: () => {},
  });
  const tuple = { vip: '2001:db8::100', port: 80, client: 'fe80::1%eth0', clientPort: 1 };
  const refused = await exchange.offer(socket, tuple, () => ({ read: Buffer.alloc(0), ended: false }));
  t.match(refused, { isPeers: false, reason: /fe80::1%eth0/ });
  t.same(sent, []);
  socket.destroy();
  server.close();
});
