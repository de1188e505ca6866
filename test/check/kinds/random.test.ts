import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import t from 'tap';
import { holds } from '../../property.ts';
import { certificate } from './certificates.ts';
import { type CheckInput, listen, probe, serve } from './probing.ts';

// One server for all runs, which sends what the run says, and then closes or stays.
let script: { bytes: Uint8Array[]; end: boolean } = { bytes: [], end: true };
const port = await serve(t, (socket) => {
  for (const bytes of script.bytes) socket.write(bytes);
  if (script.end) socket.end();
});
const server = createSocket('udp4').on('message', (_, { port, address }) => {
  for (const bytes of script.bytes) server.send(bytes, port, address);
});
server.bind(port, '127.0.0.1');
await once(server, 'listening');
t.teardown(() => server.close());

const beginnings = ['220 ', '220-', '* OK ', '* PREAUTH', '+OK ', '\n', '\r\n220 ', 'HTTP/1.1 200 OK\r\n', '\r\n\r\n'];
const piece = fc.oneof(
  fc.uint8Array({ maxLength: 100 }),
  fc.constantFrom(...beginnings).map((text) => Buffer.from(text) as Uint8Array),
);
const scripts = fc.record({ bytes: fc.array(piece, { maxLength: 5 }), end: fc.boolean() });

const textMatch = { contains: 'never to be found in what is random' };
const checks: CheckInput[] = [
  { type: 'http', body: textMatch },
  { type: 'http', status: ['100-599'] },
  { type: 'https' },
  { type: 'https', verify: false },
  { type: 'dns', name: 'example.com', transport: 'tcp' },
  { type: 'dns', name: 'example.com', transport: 'udp', answer: '192.0.2.7' },
  { type: 'udp', payload: { text: '' }, reply: textMatch },
];
const greetings = { smtp: /^220[ \r\n-]/, ftp: /^220[ \r\n-]/, imap: /^\* (OK|PREAUTH)[ \r\n]/i, pop3: /^\+OK[ \r\n]/ };
const timeoutMs = 40;

/** Outcome of a check against a server that does what `next` says; it must not come much later than its time. */
async function against(next: typeof script, check: CheckInput) {
  script = next;
  const begin = performance.now();
  const outcome = await probe(t, port, { ...check, timeoutMs });
  if (performance.now() - begin > timeoutMs + 20_000) throw new Error('came long after its time');
  return outcome;
}

holds(
  t,
  'no answer makes a probe throw, hang, or find what is not there',
  fc.asyncProperty(scripts, fc.constantFrom(...checks), async (next, check) => {
    const { kind } = await against(next, check);
    const http = check.type === 'http' && !check.body && Buffer.concat(next.bytes).includes('HTTP/1.1 200 OK\r\n');
    return kind === 'timeout' || kind === 'wrong' || (kind === 'ok' && http);
  }),
  200,
);

holds(
  t,
  'a greeting is good only when it begins as its protocol says',
  fc.asyncProperty(scripts, fc.constantFrom('smtp', 'ftp', 'imap', 'pop3'), async (next, type) => {
    const { kind } = await against(next, { type });
    return kind !== 'ok' || greetings[type].test(Buffer.concat(next.bytes).toString('latin1'));
  }),
  200,
);

// Good servers of every kind, which a probe can be in the midst of speaking with.
const secure = createServer(await certificate({}), (_, response) => response.end('well'));
const securePort = await listen(t, secure);
const program = { type: 'exec', program: 'mine' } as const;
const programs = { mine: ['/bin/sh', '-c', 'sleep 0.003'] };

holds(
  t,
  'a probe that is aborted at any moment ends at once, well or late, and leaves nothing open',
  fc.asyncProperty(
    fc.constantFrom<CheckInput>(
      { type: 'https', verify: false },
      ...checks,
      { type: 'smtp' },
      { type: 'tcp' },
      program,
    ),
    scripts,
    fc.integer({ min: 0, max: 12 }),
    async (check, next, afterMs) => {
      script = { ...next, end: false };
      const over = new AbortController();
      const good = check.type === 'https' && check.verify === false;
      const probing = probe(t, good ? securePort : port, check, { signal: over.signal, programs });
      await sleep(afterMs);
      over.abort();
      const outcome = await Promise.race([probing, sleep(20_000)]);
      return outcome !== undefined && outcome.kind !== 'broken';
    },
  ),
  200,
);
