import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import t, { type Test } from 'tap';
import { freePort } from '../../../infra/lab/free-port.ts';
import { type CheckInput, probe } from './probing.ts';

type Udp = Omit<Extract<CheckInput, { type: 'udp' }>, 'type'>;

async function ask(t: Test, answer: (question: Buffer) => Uint8Array | undefined, check: Udp) {
  const server = createSocket('udp4');
  server.on('message', (question, { port, address }) => {
    const reply = answer(question);
    if (reply) server.send(reply, port, address);
  });
  server.bind(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return probe(t, server.address().port, { type: 'udp', ...check }, { protocol: 'udp' });
}

t.test('any reply is good when the check asks for none', async (t) => {
  let seen = '';
  const echo = (question: Buffer) => {
    seen = question.toString('hex');
    return question;
  };
  t.strictSame(await ask(t, echo, { payload: { text: 'ping' } }), { kind: 'ok', words: 'answered' });
  t.equal(seen, '70696e67');
  await ask(t, echo, { payload: { hex: '00fF' } });
  t.equal(seen, '00ff');
});

t.test('a reply must be the wanted bytes, or be like the check says', async (t) => {
  const check = (reply: NonNullable<Udp['reply']>) => ask(t, () => Buffer.from([0, 0xff, 0x41, 0x42]), { payload: { text: '' }, reply }); // biome-ignore format: short
  const good = { kind: 'ok', words: 'answered as wanted' };
  t.strictSame(await check({ hex: '00FF4142' }), good);
  t.strictSame(await check({ contains: 'ÿA' }), good);
  t.strictSame(await check({ matches: '^\\x00.AB$' }), good);
  t.strictSame(await check({ hex: '00ff' }), { kind: 'wrong', words: 'answered "00ff4142", wanted "00ff"' });
  t.strictSame(await check({ text: 'AB' }), { kind: 'wrong', words: 'answered "\\x00�AB", wanted "AB"' });
  t.strictSame(await check({ contains: 'C' }), { kind: 'wrong', words: 'answered "\\x00ÿAB", wanted "C" in it' });
});

t.test('silence is a timeout, and a port where nothing listens is refused', async (t) => {
  t.match(await ask(t, () => undefined, { payload: { text: 'x' }, timeoutMs: 40 }), {
    kind: 'timeout',
    words: /^192\.0\.2\.100:\d+\/udp: no answer within 40 ms$/,
  });
  const port = await freePort();
  t.strictSame(await probe(t, port, { type: 'udp', payload: { text: 'x' } }, { protocol: 'udp' }), {
    kind: 'refused',
    words: `192.0.2.100:${port}/udp is refused: nothing listens there on this server`,
  });
});
