import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { RequestHead } from '../../src/core/url/request.ts';
import { createGateServer, type Gate, type GateOptions, openGate } from '../../src/handoff/gate.ts';
import type { Side } from '../../src/handoff/side.ts';

type Ask = NonNullable<GateOptions<object>['ask']>;

/** A port behind gates; what is asked for comes back as text. */
async function serve(t: Test, ask?: Ask, limits?: GateOptions<object>['limits']) {
  const heads: (RequestHead | undefined)[] = [];
  const gates: Gate[] = [];
  const left: Socket[] = [];
  let over = 0;
  const http = createGateServer((request, response, side) => {
    heads.push(side?.head);
    const parts: Buffer[] = [];
    request.on('data', (data) => parts.push(data));
    request.on('end', async () => {
      if (request.url === '/slow') await sleep(600);
      response.end(`${request.method} ${request.url} ${Buffer.concat(parts).length}\n`);
    });
  });
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const asking: Ask | undefined =
      ask &&
      ((head, from, read, service, tuple) => {
        const answer = ask(head, from, read, service, tuple);
        void answer?.then((hasLeft) => hasLeft && left.push(from));
        return answer;
      });
    const tuple = { vip: '127.0.0.1', port: 80, client: '127.0.0.1', clientPort: socket.remotePort ?? 0 };
    const over1 = () => void over++;
    gates.push(
      openGate(socket, {
        server: http,
        tuple,
        service: {},
        over: over1,
        ...(asking && { ask: asking }),
        ...(limits && { limits }),
      }),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const sockets: Socket[] = [];
  server.on('connection', (socket) => sockets.push(socket));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { port, heads, gates, left, over: () => over };
}

/** A client that keeps what it gets. */
async function client(t: Test, port: number) {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  let got = '';
  socket.on('data', (data) => {
    got += data;
  });
  socket.on('error', ({ message }) => {
    got += message;
  });
  await once(socket, 'connect');
  t.teardown(() => socket.destroy());
  const until = async (what: RegExp) => {
    const end = performance.now() + 5000;
    while (!what.test(got) && performance.now() < end) await sleep(5);
    t.match(got, what);
  };
  return { socket, got: () => got, until, write: (text: string) => socket.write(text) };
}

const get = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: h\r\n${more}\r\n`;
const answers = (text: string) => [...text.matchAll(/^[A-Z]+ \/\S* \d+$/gm)].map(([line]) => line);

t.test('requests are answered in their order, one at a time, whatever the packets', async (t) => {
  const { port, heads } = await serve(t);
  const one = await client(t, port);
  const text = `${get('/a')}POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n12345${get('/c')}`;
  for (let at = 0; at < text.length; at += 7) {
    one.write(text.slice(at, at + 7));
    if (at % 21 === 0) await sleep(1);
  }
  one.write(get('/d') + get('/e'));
  await one.until(/\/e 0\n/);
  t.same(answers(one.got()), ['GET /a 0', 'POST /b 5', 'GET /c 0', 'GET /d 0', 'GET /e 0']);
  t.same(
    heads.map((head) => head?.path),
    ['/a', '/b', '/c', '/d', '/e'],
    'each with the head that the matcher saw',
  );
});

t.test('after a body that is counted by chunks the gate stays open, and no verdict is kept', async (t) => {
  const { port, heads } = await serve(t, async () => false);
  const one = await client(t, port);
  one.write('POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n');
  await one.until(/POST \/a 3/);
  one.write(get('/b'));
  await one.until(/GET \/b 0/);
  t.same(heads, [undefined, undefined]);
});

t.test('a head that is refused is left to the HTTP server', async (t) => {
  const { port } = await serve(t);
  for (const bad of [
    'GET / HTTP/1.1\n\n',
    'BAD\r\n\r\n',
    `GET / HTTP/1.1\r\nHost: h\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
  ]) {
    const one = await client(t, port);
    one.write(bad);
    await one.until(/^HTTP\/1\.1 4\d\d /);
  }
});

t.test('a client that ends its half still gets its answers, and then the end', async (t) => {
  const { port } = await serve(t);
  const one = await client(t, port);
  one.socket.end(get('/a') + get('/b'));
  await once(one.socket, 'end');
  t.same(answers(one.got()), ['GET /a 0', 'GET /b 0']);
});

t.test('Connection: close is kept', async (t) => {
  const { port } = await serve(t);
  const one = await client(t, port);
  one.write(get('/a', 'Connection: close\r\n') + get('/b'));
  await once(one.socket, 'end');
  t.same(answers(one.got()), ['GET /a 0']);
});

t.test('a connection that leaves takes with it all that was not answered, and is left alone', async (t) => {
  const asked: string[] = [];
  const { port, left, over } = await serve(t, (head, _, unanswered) => {
    if (head.path === '/stays') return undefined;
    return sleep(50).then(() => {
      asked.push(unanswered().read.toString());
      return head.path === '/goes';
    });
  });
  const one = await client(t, port);
  one.write(get('/stays') + get('/asked') + get('/goes'));
  await one.until(/GET \/asked 0\n/);
  one.write(get('/more'));
  await one.until(/x^|GET \/asked/);
  const end = performance.now() + 5000;
  while (left.length === 0 && performance.now() < end) await sleep(5);
  t.same(asked, [get('/asked') + get('/goes'), get('/goes') + get('/more')]);
  t.same(answers(one.got()), ['GET /stays 0', 'GET /asked 0']);
  t.equal(over(), 1);
  t.equal(left[0]?.destroyed, false);
  left[0]?.end('by hand');
  await one.until(/by hand$/);
});

t.test('when it is to finish, it answers what is under way and takes no more', async (t) => {
  const { port, gates, over } = await serve(t);
  const [idle, busy] = [await client(t, port), await client(t, port)];
  busy.write('POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n123');
  await sleep(50);
  for (const gate of gates) gate.finish();
  await once(idle.socket, 'end');
  busy.write(`45${get('/b')}`);
  await once(busy.socket, 'end');
  t.same(answers(busy.got()), ['POST /a 5']);
  idle.socket.end();
  busy.socket.end();
  const end = performance.now() + 5000;
  while (over() < 2 && performance.now() < end) await sleep(5);
  t.equal(over(), 2);
});

t.test('what came before the gate, and that the client has ended, count', async (t) => {
  const seen: Side[] = [];
  const http = createGateServer((_, response, side) => {
    if (side) seen.push(side);
    response.end('answer');
  });
  const tuple = { vip: '127.0.0.1', port: 80, client: '127.0.0.1', clientPort: 1 };
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    openGate(socket, { server: http, tuple, service: {}, before: { read: Buffer.from(get('/x')), ended: true } });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const one = await client(t, (server.address() as AddressInfo).port);
  await once(one.socket, 'end');
  t.match(one.got(), /answer$/);
  t.equal(seen[0]?.head?.path, '/x');
  one.socket.destroy();
  server.close();
});

t.test('a client that goes no further is not waited for, one whose answer takes long is', async (t) => {
  const { port, over } = await serve(t, undefined, { headMs: 200, idleMs: 300 });
  const starts = {
    'half a head': 'GET / HTTP/1.1\r\n',
    'a head that is no head': 'GET / HTTP/1.1\nX',
    'half a body': 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nx',
    'half a chunk': 'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab',
    'nothing after an answer': 'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  };
  for (const [what, text] of Object.entries(starts)) {
    const before = over();
    const one = await client(t, port);
    one.socket.write(text);
    const closed = once(one.socket, 'close');
    one.socket.once('end', () => one.socket.end());
    await closed;
    while (over() === before) await sleep(5);
    t.pass(what);
  }
  const slow = await client(t, port);
  slow.socket.write('POST /slow HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n');
  await slow.until(/POST \/slow 0\n/);
  t.match(slow.got(), /200 OK/);
});

t.test('a gate that is open for good ends too when it is to finish', async (t) => {
  const { port, gates } = await serve(t);
  const one = await client(t, port);
  const post = (path: string) => `POST ${path} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`;
  one.socket.write(post('/a'));
  await one.until(/POST \/a 0\n/);
  one.socket.write(post('/slow'));
  await sleep(50);
  gates[0]?.finish();
  await once(one.socket, 'end');
  t.match(one.got(), /POST \/slow 0\n/, 'what was under way is answered');
  one.socket.end();
});
