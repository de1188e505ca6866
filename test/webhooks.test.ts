import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import { createSignal, until } from '../src/loop.ts';
import { createEvents } from '../src/store/events.ts';
import { startWebhooks } from '../src/webhooks.ts';
import { inMemory } from './documents.ts';

const key = Buffer.from('0123456789abcdef0123456789abcdef');
const secret = `whsec_${key.toString('base64')}`;

/** A receiver, real over loopback, that answers what `status` says. */
async function start(t: Test, limit?: number) {
  const came: { headers: IncomingHttpHeaders; body: string }[] = [];
  const arrived = createSignal();
  const receiver = { status: () => 204 };
  const server = createServer(async (request, response) => {
    came.push({ headers: request.headers, body: await text(request) });
    response.writeHead(receiver.status()).end();
    arrived.notify();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const events = createEvents(inMemory({ events: [] }), () => {}, Date.now, limit);
  events.add('old', 'before the start');
  const logged: string[] = [];
  const log = {
    warn: (_: object, words: string) => logged.push(words),
    error: (_: object, words: string) => logged.push(words),
  };
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
  const webhooks = startWebhooks({
    webhooks: [{ url, secret }],
    events,
    log,
    now: () => 1_700_000_000_000,
    firstRetryMs: 1,
  });
  t.teardown(async () => {
    await webhooks.stop();
    await events.stop();
    server.closeAllConnections();
    server.close();
  });
  const types = () => came.map(({ body }) => JSON.parse(body).type);
  const when = (count: number) => until(arrived, () => came.length >= count || undefined, 20_000);
  return { came, receiver, events, logged, types, when, webhooks, server };
}

t.test('each event from the start on is posted, in order and signed as Standard Webhooks says', async (t) => {
  const { came, events, types, when } = await start(t);
  for (const type of ['real-server-out', 'real-server-in', 'drift']) events.add(type, 'words', { pool: 'web' });
  t.ok(await when(3));
  t.strictSame(types(), ['real-server-out', 'real-server-in', 'drift']);
  for (const { headers, body } of came) {
    const [id, timestamp] = [headers['webhook-id'], headers['webhook-timestamp']];
    const wanted = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
    t.equal(headers['webhook-signature'], `v1,${wanted}`);
    t.equal(timestamp, '1700000000');
    t.match(JSON.parse(body).data, { message: 'words', pool: 'web' });
  }
  t.equal(new Set(came.map(({ headers }) => headers['webhook-id'])).size, 3);
});

t.test('an event that is not taken is tried again under the same id, and the next waits for it', async (t) => {
  const { came, receiver, events, logged, types, when } = await start(t);
  receiver.status = () => (came.length < 3 ? 503 : 204);
  events.add('first', 'words');
  events.add('second', 'words');
  t.ok(await when(4));
  t.strictSame(types(), ['first', 'first', 'first', 'second']);
  t.equal(new Set(came.slice(0, 3).map(({ headers }) => headers['webhook-id'])).size, 1);
  t.strictSame(logged, ['a webhook did not take an event, trying again']);
});

t.test('one that is never taken is left out after ten attempts, and that is logged', async (t) => {
  const { came, receiver, events, logged, types, when } = await start(t);
  receiver.status = () => (JSON.parse(came.at(-1)?.body ?? '{}').type === 'bad' ? 400 : 200);
  events.add('bad', 'words');
  events.add('good', 'words');
  t.ok(await when(11));
  t.strictSame(types(), [...Array(10).fill('bad'), 'good']);
  t.match(logged.at(-1), /it is left out/);
});

t.test('while a receiver is away no more is kept than the events themselves, and what is lost is logged', async (t) => {
  const { came, receiver, events, logged, when } = await start(t, 5);
  let refuse = true;
  receiver.status = () => (refuse ? 500 : 200);
  events.add('first', 'words');
  t.ok(await when(1));
  for (let i = 0; i < 20; i++) events.add(`later-${i}`, 'words');
  refuse = false;
  t.ok(await when(came.length + 6));
  t.equal(JSON.parse(came.at(-1)?.body ?? '{}').type, 'later-19');
  t.ok(logged.includes('a webhook was away for so long that events were left out'));
});

t.test('a receiver that cannot be reached keeps nobody from stopping', async (t) => {
  const { events, server, logged, webhooks } = await start(t);
  server.closeAllConnections();
  server.close();
  events.add('first', 'words');
  while (logged.length === 0) await new Promise((resolve) => setImmediate(resolve));
  await webhooks.stop();
  t.pass('it stopped');
});
