import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import t from 'tap';
import type { Event } from '../../src/schema.ts';
import { isProblem, startController } from './site.ts';

/** A stream of server-sent events, read line by line as a browser does (WHATWG HTML 9.2). */
async function* read(answer: Response): AsyncGenerator<{ id: string; event: string; data: Event }> {
  let text = '';
  for await (const chunk of (answer.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
    text += chunk;
    const blocks = text.split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) {
      const fields = Object.fromEntries(
        block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
      );
      if (fields.data) yield { id: `${fields.id}`, event: `${fields.event}`, data: JSON.parse(fields.data) };
    }
  }
}

async function take(stream: AsyncIterator<{ id: string; event: string; data: Event }>, count: number) {
  const taken = [];
  while (taken.length < count) {
    const { value, done } = await stream.next();
    if (done) break;
    taken.push(value);
  }
  return taken;
}

const words = (events: { data: Event }[]) => events.map(({ data }) => data.message);

t.test('the stream tells what has happened and then what happens, in order, with growing ids', async (t) => {
  const c = await startController(t);
  c.events.add('one', 'before', { pool: 'web', realServer: 'rs1' });
  const answer = await fetch(`${await c.listen()}/v1/events`);
  t.equal(answer.status, 200);
  t.match(answer.headers.get('content-type'), /^text\/event-stream/);
  t.equal(answer.headers.get('cache-control'), 'no-store');
  const stream = read(answer);
  const first = await take(stream, 1);
  await c.whenWaiting(1);
  c.events.add('two', 'line one\nline two\n\nid: 9');
  c.events.add('three', 'after');
  const events = [...first, ...(await take(stream, 2))];
  t.strictSame(words(events), ['before', 'line one\nline two\n\nid: 9', 'after']);
  t.strictSame(events.map(({ event }) => event), ['one', 'two', 'three']); // biome-ignore format: short
  const ids = events.map(({ id }) => Number(id));
  t.strictSame(
    ids,
    [...ids].sort((a, b) => a - b),
  );
  t.equal(new Set(ids).size, 3);
  t.match(events[0]?.data, { id: ids[0], type: 'one', pool: 'web', realServer: 'rs1' });
  t.match(events[0]?.data.time, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
});

t.test('a client that comes back with Last-Event-ID misses nothing and is told nothing twice', async (t) => {
  const c = await startController(t);
  for (const message of ['a', 'b', 'c']) c.events.add('type', message);
  const base = await c.listen();
  const [a, b] = c.events.since().map(({ id }) => String(id));
  const from = async (path: string, headers: Record<string, string>, count: number) =>
    words(await take(read(await fetch(`${base}/v1/events${path}`, { headers })), count));
  t.strictSame(await from('', { 'last-event-id': String(a) }, 2), ['b', 'c']);
  t.strictSame(await from(`?after=${a}`, {}, 2), ['b', 'c']);
  t.strictSame(await from(`?after=${a}`, { 'last-event-id': String(b) }, 1), ['c'], 'the later word counts');
  t.strictSame(await from('', { 'last-event-id': 'nonsense' }, 3), ['a', 'b', 'c'], 'rather twice than never');
});

t.test('the list is JSON for who asks for it', async (t) => {
  const c = await startController(t);
  for (const message of ['a', 'b']) c.events.add('type', message);
  const json = { accept: 'application/json' };
  const all = await c.call('GET', '/v1/events', undefined, json);
  t.match(all, { status: 200, body: { events: [{ message: 'a' }, { message: 'b' }] } });
  const [first] = all.body.events;
  const rest = await c.call('GET', `/v1/events?after=${first.id}`, undefined, json);
  t.match(rest.body.events, [{ message: 'b' }]);
  t.equal(rest.body.events.length, 1);
  isProblem(t, await c.call('GET', '/v1/events?after=x', undefined, json), 400, 'INVALID_REQUEST', 'after');
});

t.test('a write is told with its pool and revision, and one that is refused is not', async (t) => {
  const c = await startController(t);
  const pool = { vip: '192.0.2.100', ports: { '80/tcp': { policy: 'real-servers' } } };
  await c.call('PUT', '/v1/pools/web?waitMs=5000', pool);
  await c.call('PUT', '/v1/pools/web', { ...pool, vip: 5 });
  const told = c.events.since().filter(({ type }) => type === 'pools-changed');
  t.match(told, [{ pool: 'web', message: 'PUT /v1/pools/web stored as revision 1' }]);
  t.equal(told.length, 1);
});

t.test('a stream ends with its client, and leaves nobody waiting', async (t) => {
  const c = await startController(t);
  const base = await c.listen();
  const leaving = new AbortController();
  await fetch(`${base}/v1/events`, { signal: leaving.signal });
  await fetch(`${base}/v1/events`);
  await c.whenWaiting(2);
  leaving.abort();
  await c.whenWaiting(1);
  await c.stop();
  await c.whenWaiting(0);
});

t.test('a stream is ended properly when the server closes', async (t) => {
  const c = await startController(t);
  c.events.add('type', 'a');
  const stream = read(await fetch(`${await c.listen()}/v1/events`));
  t.strictSame(words(await take(stream, 1)), ['a']);
  await c.whenWaiting(1);
  const rest = take(stream, 1);
  await c.stop();
  t.strictSame(await rest, [], 'the end, and no error');
});

t.test('HEAD starts no stream', async (t) => {
  const c = await startController(t);
  const answer = await c.call('HEAD', '/v1/events');
  t.equal(answer.status, 405);
  t.equal(answer.headers.allow, 'GET');
});

t.test(
  'a client that does not read costs no more than a fixed buffer, and is told the newest when it reads',
  async (t) => {
    const kept = 50;
    const c = await startController(t, { eventLimit: kept });
    const connected = once(c.api.server, 'connection') as Promise<[Socket]>;
    const answering = once(get(`${await c.listen()}/v1/events`), 'response') as Promise<[IncomingMessage]>;
    const [socket] = await connected;
    const [answer] = await answering;
    answer.pause();
    await c.whenWaiting(1);
    const large = 'x'.repeat(10_000);
    let most = 0;
    for (let i = 0; i < 5_000; i++) {
      c.events.add('type', `${i} ${large}`);
      if (i % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
      most = Math.max(most, socket.writableLength);
    }
    t.ok(most < 1024 * 1024, `50 MB happened, at most ${most} bytes waited`);
    c.events.add('type', 'the last');
    let text = '';
    for await (const chunk of answer) {
      text = (text + chunk).slice(-2000);
      if (text.includes('the last')) break;
    }
    t.match(text, /the last/);
  },
);
