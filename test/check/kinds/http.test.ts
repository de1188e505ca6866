import { createServer, type RequestListener } from 'node:http';
import t, { type Test } from 'tap';
import { type CheckInput, listen, probe, serve } from './probing.ts';

type Http = Omit<Extract<CheckInput, { type: 'http' }>, 'type'>;

async function ask(t: Test, answer: RequestListener, check: Http = {}, more: Parameters<typeof probe>[3] = {}) {
  return probe(t, await listen(t, createServer(answer)), { type: 'http', ...check }, more);
}

const say =
  (status: number, body = '', headers = {}): RequestListener =>
  (_, response) =>
    response.writeHead(status, headers).end(body);

t.test('the status must be in one of the ranges', async (t) => {
  t.strictSame(await ask(t, say(200)), { kind: 'ok', words: 'answered 200' });
  t.strictSame(await ask(t, say(399)), { kind: 'ok', words: 'answered 399' });
  t.strictSame(await ask(t, say(503)), { kind: 'wrong', words: 'answered 503, wanted 200-399' });
  t.strictSame(await ask(t, say(418), { status: [204, '400-418'] }), { kind: 'ok', words: 'answered 418' });
  t.strictSame(await ask(t, say(302, '', { location: 'http://elsewhere/' }), { status: [200, 204] }), {
    kind: 'wrong',
    words: 'answered 302 (to "http://elsewhere/"), wanted 200 or 204',
  });
});

t.test('the request is what the check says', async (t) => {
  let seen: unknown;
  const look: RequestListener = ({ method, url, headers, httpVersion }, response) => {
    seen = { method, url, httpVersion, ...headers };
    response.end();
  };
  const usual = { 'user-agent': 'dsr-controller', connection: 'close', httpVersion: '1.1', accept: '*/*' };
  await ask(t, look, { host: 'www.example.com', path: '/health?x=%20' });
  t.match(seen, { method: 'GET', url: '/health?x=%20', host: 'www.example.com', ...usual });
  await ask(t, look, { method: 'HEAD' });
  t.match(seen, { method: 'HEAD', url: '/', host: /^192\.0\.2\.100:\d+$/, ...usual });
  await ask(t, look, {}, { vip: '2001:db8::1' });
  t.match(seen, { host: /^\[2001:db8::1\]:\d+$/ });
});

t.test('a header must be there, and like the check says', async (t) => {
  const cookies = say(200, '', { 'set-cookie': ['a=1', 'b=2'] });
  const header = (value?: { contains: string } | { matches: string }) => ({
    header: { name: 'Set-Cookie', ...(value && { value }) },
  });
  t.match(await ask(t, cookies, header()), { kind: 'ok' });
  t.match(await ask(t, cookies, header({ contains: 'b=' })), { kind: 'ok' });
  t.match(await ask(t, cookies, header({ matches: '^[ab]=1$' })), { kind: 'ok' });
  t.strictSame(await ask(t, cookies, header({ matches: 'c=' })), {
    kind: 'wrong',
    words: 'answered 200, but no match of "c=" in the header Set-Cookie, which is "a=1"',
  });
  t.strictSame(await ask(t, say(200), header()), {
    kind: 'wrong',
    words: 'answered 200 without the header Set-Cookie',
  });
  t.match(await ask(t, say(200), { header: { name: 'constructor' } }), { kind: 'wrong' });
});

t.test('the body must have a text, or a match', async (t) => {
  t.match(await ask(t, say(200, 'all is wéll'), { body: { contains: 'wéll' } }), { kind: 'ok' });
  t.match(await ask(t, say(200, 'a\nstatus: 12\n'), { body: { matches: '(?m)^status: \\d+$' } }), { kind: 'ok' });
  t.strictSame(await ask(t, say(200, 'maintenance\n'), { body: { contains: 'OK' } }), {
    kind: 'wrong',
    words: 'answered 200, but no "OK" in its body, which begins "maintenance\\n"',
  });
  t.strictSame(await ask(t, say(200), { body: { matches: 'OK' } }), {
    kind: 'wrong',
    words: 'answered 200, but no match of "OK" in its body, which is empty',
  });
});

t.test('the body is read for 64 KiB and no further', async (t) => {
  const endless: RequestListener = (_, response) => {
    const more = () => {
      while (response.writable && response.write('x'.repeat(5000)));
      response.once('drain', more);
    };
    more();
  };
  t.match(await ask(t, endless, { body: { contains: 'y' } }), { kind: 'wrong' });
  t.match(await ask(t, endless, { body: { matches: 'y' } }), { kind: 'wrong' });
  t.match(await ask(t, endless), { kind: 'ok' }, 'and not at all when nobody asks for it');
  const at = (offset: number) => say(200, `${' '.repeat(offset)}end`);
  t.match(await ask(t, at(65_533), { body: { contains: 'end' } }), { kind: 'ok' });
  t.match(await ask(t, at(65_534), { body: { contains: 'end' } }), { kind: 'wrong' });
});

t.test('a text is found as soon as it comes', async (t) => {
  const unfinished: RequestListener = (_, response) => response.write('ready');
  t.match(await ask(t, unfinished, { body: { contains: 'ready' } }), { kind: 'ok' });
  t.match(await ask(t, unfinished, { body: { contains: 'steady' }, timeoutMs: 50 }), {
    kind: 'timeout',
    words: /begins to answer, but does not come to an end within 50 ms$/,
  });
});

t.test('no answer in time', async (t) => {
  t.match(await ask(t, () => {}, { timeoutMs: 50 }), {
    kind: 'timeout',
    words: /^192\.0\.2\.100:\d+ takes a connection, but no answer comes within 50 ms$/,
  });
});

t.test('answers that are not HTTP, or not whole', async (t) => {
  const raw = async (answer: string, check: Http = {}) => {
    const port = await serve(t, (socket) => socket.end(answer, 'latin1'));
    return probe(t, port, { type: 'http', ...check });
  };
  t.match(await raw('SSH-2.0-OpenSSH_9.2\r\n'), {
    kind: 'wrong',
    words: /^answered what is not HTTP .*"SSH-2\.0-Open/,
  });
  t.match(await raw('HTTP/1.1 two hundred\r\n\r\n'), { kind: 'wrong', words: /not HTTP/ });
  t.match(await raw(''), { kind: 'wrong', words: /closes it without an answer$/ });
  t.match(await raw('HTTP/1.1 200 OK\r\nContent'), { kind: 'wrong', words: /closes it without an answer$/ });
  t.match(await raw(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(20_000)}`), { kind: 'wrong', words: /more than 16 KiB/ });
  t.match(await raw('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc', { body: { contains: 'd' } }), {
    kind: 'wrong',
    words: /closes the connection in the middle of its answer$/,
  });
  const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnot a length\r\n';
  t.match(await raw(chunked, { body: { contains: 'd' } }), { kind: 'wrong', words: /not HTTP/ });
  t.match(await raw('HTTP/1.0 200 OK\r\n\r\nto the end', { body: { matches: 'end$' } }), { kind: 'ok' });
  t.match(await raw('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n'), { words: 'answered 204' });
  t.match(await raw('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'), {
    kind: 'wrong',
    words: 'answered 101, wanted 200-399',
  });
});

t.test('a connection that is reset', async (t) => {
  const port = await serve(t, (socket) => socket.once('data', () => socket.resetAndDestroy()));
  t.match(await probe(t, port, { type: 'http' }), { kind: 'wrong', words: /without an answer$/ });
});

t.test('what a server sends cannot spoil the words', async (t) => {
  const evil = say(200, `\u001b[31m\u202e"\n${'w'.repeat(1000)}`);
  const { words } = await ask(t, evil, { body: { contains: 'never\u0007' } });
  t.match(words, /^answered 200, but no "never\\x07" in its body, which begins "\\x1b\[31m\\u\{202e\}\\"\\nw+…"$/);
});
