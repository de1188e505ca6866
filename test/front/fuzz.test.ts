// Malformed and strange requests, at the whole front over TCP, before a real nginx on each side. In one process: a connection
// that is handed over goes to the agent's gate without a kernel in between, with the bytes that the front had read.
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { METHODS } from 'node:http';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { type Service as AgentService, createAnswers } from '../../agents/handoff/answer.ts';
import { freePort } from '../../infra/lab/free-port.ts';
import { waitFor } from '../../infra/lab/wait.ts';
import type { Tuple } from '../../src/core/handoff/tcp-state.ts';
import { matchUrl } from '../../src/core/url/match.ts';
import { parseHead } from '../../src/core/url/request.ts';
import { createFront } from '../../src/front/serve.ts';
import type { Exchange } from '../../src/handoff/exchange.ts';
import { webServer } from '../../src/handoff/forward.ts';
import { openGate } from '../../src/handoff/gate.ts';
import type { FrontPort } from '../../src/handoff-schema.ts';
import type { UrlPolicy } from '../../src/url-schema.ts';
import { policyArb, toAll } from '../core/url/policies.ts';
import { headArb } from '../core/url/requests.ts';
import { nginxFiles, startNginx } from '../nginx.ts';
import { seed } from '../property.ts';

const vip = '127.0.0.1';
const perPolicy = 1250 * Number(process.env.FC_TIMES ?? 1);

/** Some bytes cut out, at a part of the whole, and others put there. */
const change = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  cut: fc.nat(2),
  put: fc.oneof(
    fc.constantFrom('\r\n', '\r', '\n', ' ', ':', '\0', '/', '%', 'Host: b\r\n', 'Content-Length: 5\r\n'),
    fc.nat(255).map((byte) => String.fromCharCode(byte)),
  ),
});

/** Heads as clients and attackers send them, a third of them damaged; and where packets of them end. */
const caseArb = fc
  .record({
    head: headArb,
    changes: fc.array(change, { maxLength: 3 }),
    isDamaged: fc.nat(2).map((n) => n === 0),
    pieces: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 3 }),
  })
  .map(({ head, changes, isDamaged, pieces }) => {
    let text = head;
    for (const { at, cut, put } of isDamaged ? changes : []) {
      const from = Math.floor(at * text.length);
      text = text.slice(0, from) + put + text.slice(from + cut);
    }
    return { text, pieces };
  });

/** A body of the length that the head says; the number is in a field, and the connection ends. */
function numbered(head: string, n: number): Buffer {
  const body = /length: 3/i.test(head) ? 'abc' : /chunked/i.test(head) ? '0\r\n\r\n' : '';
  return Buffer.from(head.replace(/(\r?\n|\r)(\r?\n|\r)$/, `$1X-N: ${n}$1Connection: close$1$1`) + body, 'latin1');
}

/** Sends bytes in pieces, then FIN; what comes back until the other end is done too. Undefined: it never is. */
async function talk(port: number, bytes: Buffer, pieces: readonly number[]): Promise<string | undefined> {
  const cuts = [0, ...pieces.map((at) => Math.floor(at * bytes.length)).sort((a, b) => a - b), bytes.length];
  const socket = connect({ port, host: vip, noDelay: true });
  let got = '';
  socket.on('data', (chunk) => {
    got += chunk.toString('latin1');
  });
  socket.on('error', () => {});
  let hangs = false;
  socket.setTimeout(20_000, () => {
    hangs = true;
    socket.destroy();
  });
  await once(socket, 'connect');
  for (const [i, from] of cuts.slice(0, -1).entries()) {
    socket.write(bytes.subarray(from, cuts[i + 1]));
    if (i < cuts.length - 2) await new Promise(setImmediate);
  }
  socket.end();
  if (!socket.closed) await once(socket, 'close');
  return hangs ? undefined : got;
}

/** A front and the agent of its only real server, before these web servers; where the front listens. */
async function makePair(t: Test, policy: UrlPolicy, servers: { director: number; realServer: number }) {
  const whole = {
    ...policy,
    engine: 'handoff',
    handoff: { minBytes: 0, keepAlive: 'proxy', local: `${vip}:${servers.director}` },
  } as FrontPort['policy'];
  const port: FrontPort = {
    pool: 'web',
    vip,
    port: 80,
    policy: whole,
    servers: [{ name: 'rs1', address: '192.0.2.11', weight: 1, isDirector: false }],
  };
  const log = { info: () => {}, warn: () => {} };
  const exchange: Exchange = {
    offer: async (socket, tuple, unanswered) => {
      socket.pause();
      const before = { read: Buffer.from(unanswered().read), ended: socket.readableEnded };
      setImmediate(() => {
        const service: AgentService = { vip, port: 80, policy: whole, isProbed: false };
        openGate(socket, { server: answers.http, tuple, service, before });
        socket.resume();
      });
      return undefined;
    },
    waiting: () => 0,
    holds: () => false,
    received: () => false,
    closed: () => {},
  };
  const front = createFront({
    services: () => new Map([[`${vip} 80`, { port }]]),
    exchangeOf: () => exchange,
    connectionsOf: () => 0,
    mayAskFor: () => true,
    isFit: () => true,
    moved: () => {},
    log,
  });
  const listen = async (server: Server) => {
    await once(server.listen(0, vip), 'listening');
    t.teardown(() => server.close());
    return (server.address() as AddressInfo).port;
  };
  const asks = await listen(createServer((socket) => front.http.emit('connection', socket)));
  const answers = createAnswers({
    root: undefined,
    server: webServer(vip, servers.realServer),
    director: webServer(vip, asks),
    log,
  });
  const at = await listen(
    createServer({ allowHalfOpen: true }, (socket: Socket) => {
      const tuple: Tuple = { vip, port: 80, client: vip, clientPort: socket.remotePort ?? 0 };
      openGate(socket, { server: front.http, tuple, service: { port }, ask: front.ask });
    }),
  );
  return { at, policy: whole };
}

/** One request that a web server has answered, as it has read it. */
interface Seen {
  by: 'director' | 'real-servers';
  status: number;
  method: string;
  path: string;
  query: string;
}

t.setTimeout(3_600_000);
t.test(
  'whatever comes, the front neither dies nor hangs, and web servers read what the rules were asked about',
  async (t) => {
    t.comment(`FC_SEED=${seed}`);
    const servers = { director: await freePort(), realServer: await freePort() };
    const dir = t.testdir();
    const file = join(dir, 'access.log');
    const answering = Object.values(servers).map((port) => `  server { listen ${vip}:${port}; return 200 "here\\n"; }`);
    const files = nginxFiles(
      dir,
      `  log_format seen escape=json '["$http_x_n","$server_port",$status,"$request_method","$uri","$args"]';
  access_log ${file} seen;
${answering.join('\n')}`,
    );
    writeFileSync(files.included, '');
    const nginx = await startNginx(files, servers.director);
    t.teardown(() => nginx.stop());

    const drawn = fc.sample(policyArb, { seed, numRuns: 7 });
    const policies = [...drawn, toAll(drawn[0]!, 'real-servers')];
    const pairs = await Promise.all(policies.map((policy) => makePair(t, policy, servers)));
    const cases = fc.sample(caseArb, { seed, numRuns: policies.length * perPolicy }).map(({ text, pieces }, n) => ({
      bytes: numbered(text, n),
      pieces,
      pair: pairs[n % pairs.length]!,
    }));
    const said: (string | undefined)[] = [];
    let next = 0;
    const worker = async () => {
      for (let n = next++; n < cases.length; n = next++) {
        const { pair, bytes, pieces } = cases[n]!;
        said[n] = await talk(pair.at, bytes, pieces);
      }
    };
    await Promise.all(Array.from({ length: 32 }, worker));
    for (const { at } of pairs)
      t.match(
        await talk(at, Buffer.from('GET /last HTTP/1.0\r\nX-N: last\r\n\r\n'), []),
        /^HTTP\/1\.1 200 /,
        'it answers still',
      );
    const lines = () => readFileSync(file, 'latin1').trim().split('\n');
    await waitFor(() => lines().filter((line) => line.startsWith('["last"')).length === pairs.length, {
      what: 'the log',
    });

    const seen = new Map<string, Seen[]>();
    for (const line of lines()) {
      const [n, port, status, method, path, query] = JSON.parse(line) as [
        string,
        string,
        number,
        string,
        string,
        string,
      ];
      const by = port === String(servers.director) ? 'director' : 'real-servers';
      seen.set(n, [...(seen.get(n) ?? []), { by, status, method, path, query }]);
    }
    const count = { realServer: 0, director: 0, refused: 0, neither: 0 };
    for (const [n, { bytes, pair }] of cases.entries()) {
      const words = JSON.stringify(bytes.toString('latin1').slice(0, 400));
      if (said[n] === undefined) t.fail(`${words}: no end in 20 s`);
      const head = parseHead(bytes);
      const all = seen.get(String(n)) ?? [];
      if (all.length > 1) t.fail(`${words}: answered ${all.length} times`);
      const [is] = all;
      if (head.kind !== 'request') {
        if (is?.by === 'real-servers') t.fail(`${words}: refused by the rules' parser, answered by a real server`);
        count.refused++;
        continue;
      }
      const isWhole = ['GET', 'HEAD'].includes(head.method) && head.body === 0;
      const to = isWhole ? matchUrl(pair.policy, head).to : 'director';
      if (!is) {
        count.neither++;
        // What was done to it took the line away by which it is known in the log.
        if (!head.headers.some(([name, value]) => name === 'x-n' && value === String(n))) continue;
        // Node's parser knows the registered methods alone, and takes no raw bytes above 0x7f in a target.
        const isStrange = !METHODS.includes(head.method) || /[^\x21-\x7e]/.test(head.target);
        if (!['CONNECT', 'TRACE'].includes(head.method) && !(isStrange && /^HTTP\/1\.1 400 /.test(said[n] ?? '')))
          t.fail(`${words}: no web server saw it, and the client got ${JSON.stringify(said[n]?.slice(0, 200))}`);
        continue;
      }
      if (is.by !== to) t.fail(`${words}: answered by ${is.by}, the rules say ${to}`);
      count[to === 'director' ? 'director' : 'realServer']++;
      if (is.status !== 200) continue;
      if (is.method !== head.method || is.path !== head.path || is.query !== (head.query ?? ''))
        t.fail(
          `${words}: read as ${JSON.stringify(is)}; the rules were asked about ${JSON.stringify([head.method, head.path, head.query])}`,
        );
    }
    t.comment(JSON.stringify(count));
    t.ok(Math.min(count.realServer, count.director, count.refused) > cases.length / 100, 'of every kind some');
  },
);
