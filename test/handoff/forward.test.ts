import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server } from 'node:http';
import { type AddressInfo, connect, createServer as createTcp } from 'node:net';
import t, { type Test } from 'tap';
import { type ForwardOptions, forward, type WebServer, webServer } from '../../src/handoff/forward.ts';

async function listening(t: Test, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** A proxy before a web server, and what the web server got. */
async function proxy(
  t: Test,
  answer: (
    request: IncomingMessage,
    body: Buffer,
  ) => { status?: number; headers?: Record<string, string | string[]>; body?: Buffer } | undefined,
  options: Partial<ForwardOptions> = {},
) {
  const asked: { request: IncomingMessage; body: Buffer }[] = [];
  const origin = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const body = Buffer.concat(parts);
    asked.push({ request, body });
    const said = answer(request, body);
    if (!said) return void request.socket.destroy();
    response.writeHead(said.status ?? 200, said.headers);
    response.end(said.body);
  });
  const to: WebServer = webServer('127.0.0.1', await listening(t, origin));
  t.teardown(() => to.agent.destroy());
  const failures: Error[] = [];
  const failed = (error: Error) => failures.push(error);
  const front = createServer((request, response) =>
    forward(request, response, to, { client: '198.51.100.7', host: '192.0.2.100', failed, ...options }),
  );
  return { port: await listening(t, front), asked, failures, to };
}

async function ask(
  port: number,
  path: string,
  { method = 'GET', headers = {}, body }: { method?: string; headers?: Record<string, string>; body?: Buffer } = {},
) {
  const asking = request({ host: '127.0.0.1', port, path, method, headers, agent: false });
  asking.end(body);
  const [answer] = (await once(asking, 'response')) as [IncomingMessage];
  const parts: Buffer[] = [];
  for await (const part of answer) parts.push(part as Buffer);
  return { status: answer.statusCode, headers: answer.headers, body: Buffer.concat(parts) };
}

t.test('a request and its answer pass as they are, but for what is of one connection', async (t) => {
  const big = Buffer.alloc(3_000_000, 'abc');
  const { port, asked } = await proxy(t, (_, body) => ({
    status: 201,
    headers: { 'x-a': 'b', 'set-cookie': ['a=1', 'b=2'], connection: 'keep-alive, x-hop', 'x-hop': '1' },
    body,
  }));
  const { status, headers, body } = await ask(port, '/x?y=%20', {
    method: 'POST',
    headers: { 'x-c': 'd', connection: 'close, x-mine', 'x-mine': '1', te: 'trailers', expect: '100-continue' },
    body: big,
  });
  t.equal(status, 201);
  t.ok(body.equals(big));
  t.same([headers['x-a'], headers['set-cookie'], headers['x-hop']], ['b', ['a=1', 'b=2'], undefined]);
  const got = asked[0]?.request;
  t.equal(got?.url, '/x?y=%20');
  t.equal(got?.headers['x-c'], 'd');
  for (const name of ['x-mine', 'te', 'expect']) t.equal(got?.headers[name], undefined, name);
});

t.test('what a client says of itself is told anew', async (t) => {
  const { port, asked } = await proxy(t, () => ({}), { fields: [['dsr-x', '1']], without: ['dsr-x'] });
  const spoofed = {
    'X-Forwarded-For': '1.1.1.1',
    Forwarded: 'for=1.1.1.1',
    'X-Real-IP': '1.1.1.1',
    'DSR-X': 'spoofed',
  };
  await ask(port, '/', { headers: spoofed });
  const { headers } = asked[0]!.request;
  t.equal(headers['x-forwarded-for'], '198.51.100.7');
  t.equal(headers.forwarded, 'for=198.51.100.7;proto=http');
  t.equal(headers['x-real-ip'], undefined);
  t.equal(headers['dsr-x'], '1');
});

t.test('bodies are framed as they came', async (t) => {
  const { port, asked } = await proxy(t, () => ({}));
  await ask(port, '/', { method: 'POST', headers: { 'content-length': '3' }, body: Buffer.from('abc') });
  await ask(port, '/', { method: 'POST', headers: { 'transfer-encoding': 'chunked' }, body: Buffer.from('abc') });
  await ask(port, '/', { method: 'POST', headers: { 'content-length': '0' } });
  await ask(port, '/', { method: 'DELETE' });
  await ask(port, '/');
  const framing = asked.map(({ request, body }) => [
    request.headers['content-length'],
    request.headers['transfer-encoding'],
    body.length,
  ]);
  t.same(framing, [
    ['3', undefined, 3],
    [undefined, 'chunked', 3],
    ['0', undefined, 0],
    ['0', undefined, 0],
    [undefined, undefined, 0],
  ]);
});

t.test('HEAD, 304 and the size of whole answers', async (t) => {
  const sizes: number[] = [];
  const answered = (bytes: number) => void sizes.push(bytes);
  const { port } = await proxy(
    t,
    ({ url }) => (url === '/304' ? { status: 304 } : { headers: { 'content-length': '10' }, body: Buffer.alloc(10) }),
    { answered },
  );
  t.same((await ask(port, '/', { method: 'HEAD' })).headers['content-length'], '10');
  t.equal((await ask(port, '/304')).status, 304);
  t.equal((await ask(port, '/')).body.length, 10);
  t.same(sizes, [10, 10]);
});

t.test('a connection that was kept and has just been closed is no failure for what may be asked again', async (t) => {
  let count = 0;
  const { port, failures } = await proxy(t, () => (++count === 2 ? undefined : { body: Buffer.from('ok') }));
  for (let i = 0; i < 2; i++) t.equal(String((await ask(port, '/')).body), 'ok');
  t.equal(count, 3);
  t.same(failures, []);
});

t.test('a web server that does not answer is a 502, one that breaks off breaks off', async (t) => {
  const { port, failures, to } = await proxy(t, () => undefined);
  t.equal((await ask(port, '/', { method: 'POST', body: Buffer.from('x') })).status, 502);
  t.equal(failures.length, 1);
  const cut = createTcp((socket) => {
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort'));
  }).listen(0, '127.0.0.1');
  await once(cut, 'listening');
  t.teardown(() => cut.close());
  to.port = (cut.address() as AddressInfo).port;
  await t.rejects(ask(port, '/'));
  to.port = 1;
  t.equal((await ask(port, '/')).status, 502);
});

t.test('a client that goes away is not answered any more', async (t) => {
  let ended = () => {};
  const gone = new Promise<void>((resolve) => {
    ended = resolve;
  });
  const origin = createServer((_, response) => {
    response.write('x');
    response.once('close', () => ended());
  });
  const to = webServer('127.0.0.1', await listening(t, origin));
  const front = createServer((request, response) =>
    forward(request, response, to, { client: '::1', host: '2001:db8::100' }),
  );
  const socket = connect(await listening(t, front), '127.0.0.1');
  socket.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
  await once(socket, 'data');
  socket.destroy();
  await gone;
  t.pass('the web server was told');
});

t.test('an upload that is answered before it has come whole ends there, and the connection goes on', async (t) => {
  let count = 0;
  const rude = createTcp((socket) => {
    socket.on('error', () => {});
    // Neither reads further nor closes.
    socket.once('data', () => {
      const body = ++count === 1 ? '413' : '200';
      socket.write(`HTTP/1.1 ${body} X\r\nContent-Length: 3\r\n\r\n${body}`);
      socket.pause();
    });
    t.teardown(() => socket.destroy());
  }).listen(0, '127.0.0.1');
  await once(rude, 'listening');
  t.teardown(() => rude.close());
  const { port, to } = await proxy(t, () => ({}));
  to.port = (rude.address() as AddressInfo).port;
  const socket = connect(port, '127.0.0.1');
  t.teardown(() => socket.destroy());
  let got = '';
  socket.on('data', (data) => {
    got += data;
  });
  const has = async (what: RegExp) => {
    while (!what.test(got)) await once(socket, 'data');
  };
  const bytes = 20_000_000;
  socket.write(`POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${bytes}\r\n\r\n`);
  socket.write(Buffer.alloc(bytes), () => socket.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n'));
  await has(/413$/);
  await has(/200$/);
  t.match(got, /^HTTP\/1.1 413 .*413HTTP\/1.1 200 .*200$/s);
});

t.test('an answer that may not be passed on is a 502', async (t) => {
  for (const line of ['HTTP/1.1 404 a\x01b', 'HTTP/1.1 099 Low', 'nonsense']) {
    const odd = createTcp((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => socket.end(`${line}\r\nContent-Length: 0\r\n\r\n`));
    }).listen(0, '127.0.0.1');
    await once(odd, 'listening');
    t.teardown(() => odd.close());
    const { port, to, failures } = await proxy(t, () => ({}));
    to.port = (odd.address() as AddressInfo).port;
    t.equal((await ask(port, '/')).status, 502, JSON.stringify(line));
    t.equal(failures.length, 1);
  }
});

t.test(
  'what says where a message ends, and to whom it goes, is not of one connection, whatever Connection says',
  async (t) => {
    const { port, asked } = await proxy(t, () => ({}));
    const body = Buffer.from('GET /x HTTP/1.1\r\nHost: h\r\n\r\n');
    const headers = { connection: 'content-length, host', 'content-length': String(body.length) };
    await ask(port, '/', { headers, body });
    t.equal(asked.length, 1);
    t.ok(asked[0]?.body.equals(body));
    t.match(asked[0]?.request.headers.host, /^127\.0\.0\.1:/);
  },
);

t.test('what one web server does not have another one is asked for', async (t) => {
  const otherwise: { now?: () => void } = {};
  let asked = 0;
  const { port } = await proxy(t, ({ url }) => ({ status: url === '/gone' ? 410 : 404, body: Buffer.from('no') }), {
    otherwise: () => {
      asked++;
      otherwise.now?.();
    },
  });
  const ended = new Promise<void>((resolve) => {
    otherwise.now = resolve;
  });
  const socket = connect(port, '127.0.0.1');
  socket.write('GET /gone HTTP/1.1\r\nHost: h\r\n\r\n');
  await ended;
  t.equal(asked, 1);
  socket.destroy();
});
