import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect, createServer as createTcp, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import type { Tuple } from '../../src/core/handoff/tcp-state.ts';
import { createFront, type FrontOptions, type Service } from '../../src/front/serve.ts';
import type { Exchange, Refused } from '../../src/handoff/exchange.ts';
import { openGate } from '../../src/handoff/gate.ts';
import { clientField, serviceField } from '../../src/handoff/private-channel.ts';
import type { FrontPort } from '../../src/handoff-schema.ts';

type Policy = FrontPort['policy'];

/** A front before a web server, with links that answer as they are told. */
async function serve(
  t: Test,
  policy: Partial<Policy>,
  options: Partial<FrontOptions> & { refused?: (name: string) => Refused | undefined } = {},
) {
  const asked: string[] = [];
  const origin = createServer((request, response) => {
    asked.push(`${request.method} ${request.url} ${request.headers['x-forwarded-for']}`);
    response.setHeader('content-length', request.url?.startsWith('/small') ? 5 : 50_000);
    response.end(Buffer.alloc(request.url?.startsWith('/small') ? 5 : 50_000, 'x'));
  }).listen(0, '127.0.0.1');
  await once(origin, 'listening');
  const local = `127.0.0.1:${(origin.address() as AddressInfo).port}`;
  const whole: Policy = {
    policy: 'url',
    rules: [{ match: { methods: ['GET', 'HEAD', 'POST'], extensions: ['jpg'] }, to: 'real-servers' }],
    otherwise: 'director',
    engine: 'handoff',
    affinity: 'none',
    ...policy,
    ...(policy.engine === 'redirect'
      ? {
          redirect: {
            code: 307,
            hosts: { rs1: 'img1.example.com', rs2: 'img2.example.com:81' },
            ...policy.redirect,
            local,
          },
        }
      : { handoff: { minBytes: 0, keepAlive: 'proxy', ...policy.handoff, local } }),
  };
  const service: Service = {
    port: {
      pool: 'web',
      vip: '127.0.0.1',
      port: 80,
      policy: whole,
      servers: [
        { name: 'rs1', address: '192.0.2.11', weight: 1, isDirector: false },
        { name: 'rs2', address: '192.0.2.12', weight: 1, isDirector: false },
        { name: 'own', address: '192.0.2.10', weight: 0, isDirector: true },
      ],
    },
  };
  const offered: string[] = [];
  const moves: [string, boolean][] = [];
  const warnings: unknown[] = [];
  const exchange = (name: string): Exchange => ({
    offer: async (socket) => {
      offered.push(name);
      const refused = options.refused?.(name);
      if (!refused) socket.destroy();
      return refused;
    },
    waiting: () => 0,
    holds: () => false,
    received: () => false,
    closed: () => {},
  });
  const front = createFront({
    services: () => new Map([['127.0.0.1 80', service]]),
    exchangeOf: exchange,
    connectionsOf: () => 0,
    mayAskFor: () => true,
    isFit: () => true,
    moved: (name, _, isGone) => moves.push([name, isGone]),
    log: { info: () => {}, warn: (keys) => warnings.push(keys) },
    chance: () => 0,
    ...options,
  });
  const sockets: Socket[] = [];
  const server = createTcp({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    const tuple: Tuple = { vip: '127.0.0.1', port: 80, client: '198.51.100.7', clientPort: socket.remotePort ?? 0 };
    openGate(socket, { server: front.http, tuple, service, ask: front.ask });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
    origin.closeAllConnections();
    origin.close();
  });
  const { port } = server.address() as AddressInfo;
  const ask = async (text: string): Promise<string> => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.write(text);
    let got = '';
    socket.on('data', (data) => {
      got += data;
    });
    socket.on('error', () => {});
    await once(socket, 'close');
    return got;
  };
  const get = (path: string, host = 'www.example.com', method = 'GET') =>
    ask(`${method} ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  return { front, service, asked, offered, moves, warnings, ask, get };
}

t.test('what matches is offered to a real server, the rest is passed on with the client named', async (t) => {
  const { get, ask, offered, asked, moves, front } = await serve(t, {});
  t.equal(await get('/a.jpg?x'), '', 'the connection has left');
  t.match(await get('/a.php'), /^HTTP\/1.1 200 OK/);
  t.match(
    await ask('POST /a.jpg HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx'),
    /^HTTP\/1.1 200/,
  );
  t.same(offered, ['rs1']);
  t.same(moves, [['rs1', true]]);
  t.same(asked, ['GET /a.php 198.51.100.7', 'POST /a.jpg 198.51.100.7']);
  t.match(front.counts, { handedOver: 1, kept: 0, passed: 2, redirected: 0 });
});

t.test('whatever refuses, the client is answered, and after three times nobody is asked for a while', async (t) => {
  let now = 0;
  const refused = () => ({ reason: 'no', isPeers: true });
  const { get, offered, asked, moves, front } = await serve(t, {}, { refused, now: () => now });
  for (let i = 0; i < 8; i++) t.match(await get(`/${i}.jpg`), /^HTTP\/1.1 200/);
  t.same(offered, ['rs1', 'rs1', 'rs1', 'rs2', 'rs2', 'rs2']);
  t.equal(asked.length, 8);
  t.same(moves.slice(0, 2), [
    ['rs1', true],
    ['rs1', false],
  ]);
  t.equal(front.counts.kept, 6);
  now = 5000;
  await get('/later.jpg');
  t.equal(offered.length, 7);
});

t.test('what is not the fault of the other end is no reason to leave it alone', async (t) => {
  const refused = () => ({ reason: 'not acknowledged yet', isPeers: false });
  const { get, offered, warnings } = await serve(t, {}, { refused });
  for (let i = 0; i < 5; i++) await get(`/${i}.jpg`);
  t.equal(offered.length, 5);
  t.same(warnings, []);
});

t.test('without a link, or with no weight, the director answers', async (t) => {
  const { get, offered, service } = await serve(t, {}, { exchangeOf: () => undefined });
  t.match(await get('/a.jpg'), /^HTTP\/1.1 200/);
  const other = await serve(t, {});
  other.service.port = {
    ...service.port,
    servers: service.port.servers.map((one) => ({ ...one, weight: one.isDirector ? 1 : 0 })),
    policy: other.service.port.policy,
  };
  t.match(await other.get('/a.jpg'), /^HTTP\/1.1 200/);
  t.same([offered, other.offered], [[], []]);
});

t.test('one path goes to one real server, by hash', async (t) => {
  let chance = 0;
  const { get, offered } = await serve(t, { affinity: 'url-hash' }, { chance: () => (chance = 0.99 - chance) });
  for (let i = 0; i < 20; i++) for (let n = 0; n < 2; n++) await get(`/${i}.jpg?${n}`);
  for (let i = 0; i < 40; i += 2) t.equal(offered[i], offered[i + 1]);
  t.equal(new Set(offered).size, 2);
});

t.test('small answers are not handed over, once they are known to be small', async (t) => {
  const { get, offered, front } = await serve(t, { handoff: { minBytes: 1000, keepAlive: 'proxy', local: '' } });
  front.sizes.saw('/small.jpg', 5);
  t.match(await get('/small.jpg'), /^HTTP\/1.1 200/);
  t.match(await get('/small2.jpg'), /^HTTP\/1.1 200/, 'by extension');
  t.same(offered, []);
  front.sizes.saw('/big.jpg', 50_000);
  await get('/big.jpg');
  t.equal(offered.length, 1);
});

t.test('a redirect goes to a fit server that is not the one the client has come to', async (t) => {
  const { get, asked } = await serve(t, { engine: 'redirect' }, { isFit: (_, port) => port === 81 });
  t.match(
    await get('/a%20b.jpg?x=1'),
    /^HTTP\/1.1 307 [\s\S]*location: http:\/\/img2\.example\.com:81\/a%20b\.jpg\?x=1\r\n/,
  );
  t.match(await get('/a.jpg', 'www.example.com', 'HEAD'), /^HTTP\/1.1 307 /);
  t.match(await get('/a.jpg', 'img1.example.com'), /^HTTP\/1.1 200/, 'no loop');
  t.match(await get('/a.php'), /^HTTP\/1.1 200/);
  t.equal(asked.length, 2);
  const none = await serve(t, { engine: 'redirect' }, { isFit: () => false });
  t.match(await none.get('/a.jpg'), /^HTTP\/1.1 200/, 'nobody is fit');
});

t.test('an agent asks for the client that it names, and for a port that there is', async (t) => {
  const { front, asked } = await serve(t, {});
  const server = createTcp((socket) => front.http.emit('connection', socket)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const ask = async (service: string) => {
    const socket = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' });
    socket.write(
      `GET /a.jpg HTTP/1.1\r\nHost: h\r\nConnection: close\r\n${clientField}: 203.0.113.9\r\n${serviceField}: ${service}\r\n\r\n`,
    );
    let got = '';
    for await (const data of socket) got += data;
    return got;
  };
  t.match(await ask('127.0.0.1 80'), /^HTTP\/1.1 200/);
  t.match(await ask('127.0.0.1 81'), /^HTTP\/1.1 404/);
  t.same(asked, ['GET /a.jpg 203.0.113.9']);
});
