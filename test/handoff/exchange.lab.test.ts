import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { createExchange, type Exchange } from '../../src/handoff/exchange.ts';
import { createGateServer, openGate } from '../../src/handoff/gate.ts';
import type { Frame } from '../../src/handoff-schema.ts';
import { freshNetwork, lab } from '../kernel/lab.ts';

const vip = '127.0.0.1';
const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`;
const bytes = 100_000;

/** A port whose connections are all offered to an end that does what `peer` says with each frame. */
async function serve(t: Test, peer: (frame: Frame, exchange: Exchange) => void) {
  freshNetwork();
  const http = createGateServer((_, response) => void response.end(Buffer.alloc(bytes, 'x')));
  const refusals: string[] = [];
  const routes: string[] = [];
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const tuple = { vip, port: 80, client: vip, clientPort: socket.remotePort ?? 0 };
    const exchange = createExchange({
      channel: { send: (frame) => peer(frame, exchange) },
      refusal: () => 'nothing is taken here',
      taken: () => {},
      route: (_, to) => routes.push(to),
      log: () => {},
    });
    openGate(socket, {
      server: http,
      tuple,
      service: {},
      ask: (_head, _socket, read) =>
        exchange.offer(socket, tuple, read).then((refused) => {
          if (refused) refusals.push(refused.reason);
          return refused === undefined;
        }),
    });
  });
  server.listen(80, vip);
  await once(server, 'listening');
  t.teardown(() => server.close());
  return { refusals, routes };
}

async function client(t: Test) {
  const socket: Socket = connect({ host: vip, port: 80, allowHalfOpen: true, noDelay: true });
  const seen = { bytes: 0, ended: false, errors: [] as string[] };
  socket.on('data', (data) => {
    seen.bytes += data.length;
  });
  socket.on('end', () => {
    seen.ended = true;
  });
  socket.on('error', ({ message }) => seen.errors.push(message));
  await once(socket, 'connect');
  t.teardown(() => socket.destroy());
  const until = async (condition: () => boolean) => {
    const end = performance.now() + 20_000;
    while (!condition() && performance.now() < end) await sleep(5);
    t.ok(condition(), JSON.stringify(seen));
  };
  return { socket, seen, until };
}

for (const [what, peer] of [
  [
    'refuses',
    (frame, exchange) => {
      if (frame.kind === 'take')
        setTimeout(() => exchange.received({ kind: 'failed', id: frame.id, reason: 'no' }), 30);
    },
  ],
  ['says nothing', () => {}],
  [
    'is gone',
    (frame, exchange) => {
      if (frame.kind === 'take') setTimeout(() => exchange.closed(), 20);
    },
  ],
] as [string, (frame: Frame, exchange: Exchange) => void][])
  lab(t, `where the other end ${what}, the client gets its answer, whatever it does meanwhile`, async (t) => {
    const { refusals, routes } = await serve(t, peer);
    const plain = await client(t);
    plain.socket.write(get('/'));
    const fin = await client(t);
    fin.socket.end(get('/'));
    const soon = await client(t);
    soon.socket.write(get('/'));
    setTimeout(() => soon.socket.end(), 5);
    const during = await client(t);
    during.socket.write(get('/a'));
    for (const piece of [get('/b').slice(0, 9), get('/b').slice(9)]) {
      await sleep(4);
      during.socket.write(piece);
    }
    await plain.until(() => plain.seen.bytes > bytes);
    for (const one of [fin, soon]) await one.until(() => one.seen.bytes > bytes && one.seen.ended);
    await during.until(() => during.seen.bytes > 2 * bytes);
    for (const one of [plain, fin, soon, during]) t.same(one.seen.errors, []);
    t.ok(refusals.length >= 4);
    t.equal(routes.at(-1), 'here');
  });

lab(t, 'a connection that was taken is no longer here, and nobody was told', async (t) => {
  const frames: Frame[] = [];
  const { refusals, routes } = await serve(t, (frame, exchange) => {
    frames.push(frame);
    if (frame.kind === 'take') exchange.received({ kind: 'took', id: frame.id });
  });
  const one = await client(t);
  one.socket.write(get('/a') + get('/b'));
  await one.until(() => frames.length === 2);
  t.match(frames, [
    { kind: 'take', vip, port: 80, read: Buffer.from(get('/a') + get('/b')).toString('base64'), tcp: { ended: false } },
    { kind: 'go' },
  ]);
  t.same(refusals, []);
  t.same(routes, ['there', 'there']);
  await sleep(1500);
  t.same(one.seen, { bytes: 0, ended: false, errors: [] });
});
