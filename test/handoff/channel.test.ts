import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { duplexPair } from 'node:stream';
import { connect, createServer, type TLSSocket } from 'node:tls';
import t from 'tap';
import { openChannel } from '../../src/handoff/channel.ts';
import { connecting, listening, type purposes } from '../../src/handoff/private-channel.ts';
import type { Frame } from '../../src/handoff-schema.ts';

const ends = () => {
  const [a, b] = duplexPair();
  const frames: Frame[] = [];
  let closed: (error?: Error) => void;
  const end = new Promise<Error | undefined>((resolve) => {
    closed = resolve;
  });
  const channel = openChannel(a, { received: (frame) => frames.push(frame), closed: (error) => closed(error) });
  return { channel, peer: b, frames, end };
};

t.test('frames come as they were sent, whatever the packets', async (t) => {
  const { peer, frames, channel } = ends();
  const lines = [1, 2, 3].map((id) => `${JSON.stringify({ kind: 'go', id })}\n`).join('');
  for (const byte of lines) peer.write(byte);
  peer.write(`${JSON.stringify({ kind: 'failed', id: 4, reason: 'é' })}\n`);
  await new Promise((resolve) => setTimeout(resolve, 50));
  t.same(
    frames.map((frame) => 'id' in frame && frame.id),
    [1, 2, 3, 4],
  );
  channel.send({ kind: 'took', id: 5 });
  const [sent] = await once(peer, 'data');
  t.equal(String(sent), '{"kind":"took","id":5}\n');
  channel.close();
  channel.send({ kind: 'took', id: 6 });
});

for (const [what, bytes] of [
  ['no JSON', 'hello\n'],
  ['no frame', '{"kind":"take","id":1}\n'],
  ['no end of line', 'x'.repeat(300_000)],
] as const)
  t.test(`${what} ends the link, and says so`, async (t) => {
    const { peer, end, frames } = ends();
    peer.on('error', () => {});
    peer.write(`${bytes}{"kind":"go","id":1}\n`);
    t.match((await end)?.message, /frame/);
    t.same(frames, []);
  });

t.test('a link that is closed in order has no error', async (t) => {
  const { peer, end } = ends();
  peer.end();
  t.equal(await end, undefined);
});

t.test('only who knows the secret of a name is let in, under that name', async (t) => {
  const keys = new Map([
    ['rs1', Buffer.alloc(32, 1).toString('base64url')],
    ['rs2', Buffer.alloc(32, 2).toString('base64url')],
  ]);
  const names = new WeakMap<object, string>();
  const came: [string | undefined, unknown][] = [];
  const server = createServer(
    listening(
      (name) => keys.get(name),
      (socket, name) => names.set(socket, name),
    ),
    (socket: TLSSocket) => {
      came.push([names.get(socket), socket.alpnProtocol]);
      socket.end();
    },
  );
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  const knock = async (name: string, key: string, purpose: keyof typeof purposes) => {
    const socket = connect({ port, host: '127.0.0.1', ...connecting(name, key, purpose) });
    const how = await new Promise<string>((resolve) => {
      socket.once('secureConnect', () => resolve('in'));
      socket.on('error', () => resolve('out'));
    });
    socket.destroy();
    return how;
  };
  t.equal(await knock('rs1', keys.get('rs1')!, 'link'), 'in');
  t.equal(await knock('rs2', keys.get('rs2')!, 'requests'), 'in');
  t.equal(await knock('rs1', keys.get('rs2')!, 'link'), 'out');
  t.equal(await knock('rs3', keys.get('rs1')!, 'link'), 'out');
  t.same(came, [
    ['rs1', 'dsr-link'],
    ['rs2', 'http/1.1'],
  ]);
});
