import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import {
  type Answer,
  type DecodedPacket,
  decode,
  encode,
  type Packet,
  streamEncode,
  TRUNCATED_RESPONSE,
} from 'dns-packet';
import t, { type Test } from 'tap';
import { freePort } from '../../../infra/lab/free-port.ts';
import { type CheckInput, probe, serve } from './probing.ts';

type Dns = Omit<Extract<CheckInput, { type: 'dns' }>, 'type'>;
type Reply = (query: DecodedPacket) => Packet | Uint8Array | (Packet | Uint8Array)[];

const plain: Dns = { name: 'example.com' };
const answer = (query: DecodedPacket, answers: Answer[] = [], flags = 0): Packet => ({
  id: query.id ?? 0,
  type: 'response',
  flags,
  questions: query.questions ?? [],
  answers,
});
const a = (...addresses: string[]): Answer[] => addresses.map((data) => ({ type: 'A', name: 'example.com', data }));

async function overUdp(t: Test, reply: Reply, check: Dns = plain) {
  const server = createSocket('udp4').on('message', (message, { port, address }) => {
    for (const one of [reply(decode(message))].flat())
      server.send(one instanceof Uint8Array ? one : encode(one), port, address);
  });
  server.bind(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return probe(t, server.address().port, { type: 'dns', ...check }, { protocol: 'udp' });
}

async function overTcp(t: Test, reply: (query: DecodedPacket) => Uint8Array, check: Dns = plain) {
  const port = await serve(t, (socket) => {
    socket.once('data', (message: Buffer) => {
      const bytes = reply(decode(message.subarray(2)));
      socket.write(bytes.subarray(0, 5));
      setTimeout(() => socket.end(bytes.subarray(5)), 5);
    });
  });
  return probe(t, port, { type: 'dns', ...check });
}

t.test('the question is asked, and its answer is good', async (t) => {
  let asked: DecodedPacket | undefined;
  const ok = { kind: 'ok', words: 'answered NOERROR' };
  const remember = (query: DecodedPacket) => {
    asked = query;
    return answer(query);
  };
  t.strictSame(await overUdp(t, remember, { name: 'Example.com.', recordType: 'MX' }), ok);
  t.match(asked, { type: 'query', flag_rd: true, questions: [{ name: 'Example.com', type: 'MX', class: 'IN' }] });
  t.strictSame(await overTcp(t, (query) => streamEncode(answer(query))), ok);
  t.match(await overUdp(t, (query) => answer(query), { name: '.', recordType: 'NS' }), ok);
});

t.test('the response code must be a wanted one', async (t) => {
  const code = (flags: number) => (query: DecodedPacket) => answer(query, [], flags);
  t.strictSame(await overUdp(t, code(2)), { kind: 'wrong', words: 'answered SERVFAIL, wanted NOERROR' });
  t.match(await overUdp(t, code(9)), { words: 'answered response code 9, wanted NOERROR' });
  t.match(await overUdp(t, code(5), { ...plain, rcodes: ['NXDOMAIN', 'REFUSED'] }), {
    kind: 'ok',
    words: 'answered REFUSED',
  });
});

t.test('one record must be the wanted one', async (t) => {
  const wants = async (wanted: string, records: Answer[], flags = 0) => {
    const recordType = records[0]?.type as Dns['recordType'];
    return overUdp(t, (query) => answer(query, records, flags), { ...plain, recordType, answer: wanted });
  };
  const name = 'example.com';
  const good = async (wanted: string, ...records: Answer[]) =>
    t.match(await wants(wanted, records), { kind: 'ok' }, wanted);
  await good('192.0.2.7', ...a('192.0.2.9', '192.0.2.7'));
  await good('2001:DB8:0::7', { type: 'AAAA', name, data: '2001:db8::7' });
  await good('Www.example.net.', { type: 'CNAME', name, data: 'www.Example.net' });
  await good('10 mail.example.com', { type: 'MX', name, data: { preference: 10, exchange: 'mail.example.com' } });
  await good('1 2 443 www.example.com.', { type: 'SRV', name, data: { priority: 1, weight: 2, port: 443, target: 'www.example.com' } }); // biome-ignore format: short
  await good('v=spf1 -all', { type: 'TXT', name, data: ['v=spf1', ' -all'] });
  await good('"v=spf1 -all"', { type: 'TXT', name, data: 'v=spf1 -all' });
  await good('ns.example.com. admin.example.com. 7 1 2 3 4', {
    type: 'SOA',
    name,
    data: {
      mname: 'ns.example.com',
      rname: 'admin.example.com',
      serial: 7,
      refresh: 1,
      retry: 2,
      expire: 3,
      minimum: 4,
    },
  });
  const words = 'answered "192.0.2.8" and 1 more, wanted "192.0.2.7"';
  t.strictSame(await wants('192.0.2.7', a('192.0.2.9', '192.0.2.8')), { kind: 'wrong', words });
  t.strictSame(await wants('192.0.2.7', a('192.0.2.8', '192.0.2.9')), { kind: 'wrong', words }, 'in any order');
  t.match(await wants('192.0.2.7', a('192.0.2.8'), TRUNCATED_RESPONSE), {
    words: /cut short: use "transport": "tcp"$/,
  });
  t.match(await overUdp(t, (query) => answer(query), { ...plain, answer: '192.0.2.7' }), {
    words: 'answered no A record, wanted "192.0.2.7"',
  });
});

t.test('what is no answer to the question', async (t) => {
  const other = (query: DecodedPacket) => ({ ...answer(query), id: (query.id ?? 0) ^ 1 });
  t.match(await overUdp(t, (query) => [other(query), answer(query)]), { kind: 'ok' }, 'it waits for its own');
  t.match(await overUdp(t, (query) => other(query), { ...plain, timeoutMs: 40 }), { kind: 'timeout' });
  t.match(await overTcp(t, (query) => streamEncode(other(query))), { kind: 'wrong', words: /another id/ });
  t.match(await overUdp(t, (query) => ({ ...answer(query), questions: [{ name: 'example.org', type: 'A' }] })), {
    kind: 'wrong',
    words: 'answered another question than A of "example.com"',
  });
  t.match(await overUdp(t, (query) => encode(query)), { kind: 'wrong', words: /a question instead/ });
  t.match(await overUdp(t, (query) => encode(answer(query)).subarray(0, 20)), {
    kind: 'wrong',
    words: /no DNS message/,
  });
  t.match(await overUdp(t, () => Buffer.from([7])), { kind: 'wrong', words: /no DNS message/ });
  t.match(await overTcp(t, (query) => streamEncode(answer(query)).subarray(0, 20)), {
    kind: 'wrong',
    words: /in the middle/,
  });
  t.match(await overTcp(t, () => Buffer.alloc(0)), { kind: 'wrong', words: /without an answer/ });
});

t.test('a name server that is silent or not there, over the transport that the check wants', async (t) => {
  t.match(await overUdp(t, () => [], { ...plain, timeoutMs: 40 }), {
    kind: 'timeout',
    words: /\/udp: no answer within 40 ms$/,
  });
  const port = await freePort();
  t.match(await probe(t, port, { type: 'dns', ...plain, transport: 'udp' }), {
    kind: 'refused',
    words: /\/udp is refused/,
  });
  t.match(await probe(t, port, { type: 'dns', ...plain, transport: 'tcp' }, { protocol: 'udp' }), {
    kind: 'refused',
    words: `192.0.2.100:${port} is refused: nothing listens there on this server`,
  });
});
