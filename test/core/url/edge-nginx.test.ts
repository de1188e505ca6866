import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { freePort } from '../../../infra/lab/free-port.ts';
import { waitFor } from '../../../infra/lab/wait.ts';
import { type EdgeService, edgeNginx, edgePath } from '../../../src/core/url/edge-nginx.ts';
import { matchUrl } from '../../../src/core/url/match.ts';
import { parseHead } from '../../../src/core/url/request.ts';
import { exchange, nginxFiles, nginxTest, readLog, startNginx } from '../../nginx.ts';
import { seed } from '../../property.ts';
import { policyArb, toAll } from './policies.ts';
import { headArb } from './requests.ts';

const vip = '127.0.0.1';
const plain = { generation: 0, purged: [], tls: false };

/** What the director's web server was sent, and as whom it answers. */
async function startOrigin() {
  const heads: string[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => {});
    let head = '';
    socket.on('data', (chunk) => {
      const known = head.includes('\r\n\r\n');
      head += chunk.toString('latin1');
      if (known || !head.includes('\r\n\r\n')) return;
      heads.push(head);
      socket.end(
        'HTTP/1.1 200 OK\r\nX-By: director\r\nCache-Control: no-store\r\nContent-Length: 0\r\nConnection: close\r\n\r\n',
      );
    });
  }).listen(0, vip);
  await once(server, 'listening');
  t.teardown(() => server.close());
  return { heads, port: (server.address() as AddressInfo).port };
}

/** With a number for the log, an end of the connection, and a body of the length that the head says. */
function numbered(head: string, n: number): Buffer {
  const body = /length: 3/i.test(head) ? 'abc' : /chunked/i.test(head) ? '0\r\n\r\n' : '';
  const fields = `$1X-N: ${n}$1Connection: close$1$1`;
  return Buffer.from(head.replace(/(\r?\n|\r)(\r?\n|\r)$/, fields) + body, 'latin1');
}

// Those that the director forbids to keep wait for each other a little (proxy_cache_lock); the bad ones may never end.
const isGood = (bytes: Uint8Array) => parseHead(bytes).kind === 'request';

t.test('a real nginx answers every request as the rules say', async (t) => {
  const origin = await startOrigin();
  const dir = t.testdir();
  const drawn = fc.sample(policyArb, { seed, numRuns: 8 });
  const policies = [...drawn, toAll(drawn[0]!, 'real-servers'), toAll(drawn[0]!, 'director')];
  const services: EdgeService[] = [];
  for (const policy of policies)
    services.push({
      ...plain,
      ...policy,
      vip,
      port: await freePort(),
      origin: `${vip}:${origin.port}`,
      cacheMb: services.length % 2,
    });
  const verdicts = services.map(({ port }) => `$dsr_127_0_0_1_${port}_to`).join('","');
  const files = nginxFiles(
    dir,
    `  log_format verdict escape=json '["$http_x_n",$status,$server_port,"${verdicts}"]';\n  access_log ${dir}/access.log verdict;`,
  );
  const root = join(dir, 'root');
  const onDisk = ['/a.jpg', '/img/a.jpg', '/img/a/a.jpg', '/thumbs/b.c.png', '/a.php', '/img/x y.jpg', '/B/a'];
  for (const file of onDisk) {
    mkdirSync(join(root, file, '..'), { recursive: true });
    writeFileSync(join(root, file), 'on disk');
  }
  const { text, stamp } = edgeNginx(services, { root, cache: join(dir, 'cache') });
  writeFileSync(files.included, text);
  t.equal(await nginxTest(files.main), undefined, 'nginx takes it');
  const nginx = await startNginx(files, services[0]!.port);
  t.teardown(() => nginx.stop());
  t.match(await exchange(services[0]!.port, Buffer.from(`GET ${edgePath} HTTP/1.0\r\n\r\n`)), `\r\n\r\n${stamp}\n`);

  const heads = fc.sample(headArb, { seed, numRuns: 2000 * Number(process.env.FC_TIMES ?? 1) });
  t.comment(`FC_SEED=${seed}`);
  const [ofRealServers, ofDirector] = services.slice(-2) as [EdgeService, EdgeService];
  // Whatever is drawn, some go to each.
  const good = heads.filter((head) => isGood(Buffer.from(head, 'latin1'))).slice(0, 300);
  const cases = [
    ...heads.map((head, n) => ({ head, service: services[n % drawn.length]! })),
    ...good.flatMap((head) => [ofRealServers, ofDirector].map((service) => ({ head, service }))),
    ...onDisk.map((file) => ({
      head: `GET ${encodeURI(file)} HTTP/1.1\r\nHost: example.com\r\n\r\n`,
      service: ofRealServers,
    })),
  ].map(({ head, service }, n) => ({ bytes: numbered(head, n), service }));
  let next = 0;
  const worker = async () => {
    for (let n = next++; n < cases.length; n = next++)
      await exchange(cases[n]!.service.port, cases[n]!.bytes, isGood(cases[n]!.bytes) ? 10_000 : 300);
  };
  await Promise.all(Array.from({ length: 32 }, worker));
  await exchange(services[0]!.port, Buffer.from('GET /last HTTP/1.0\r\nX-N: last\r\n\r\n'));
  await waitFor(() => readLog(nginx).some((line) => line.startsWith('["last"')), { what: 'the log' });
  const logged = new Map<string, { status: number; to: string }>();
  for (const line of readLog(nginx)) {
    const [n, status, port, ...all] = JSON.parse(line);
    logged.set(n, { status, to: all[services.findIndex((one) => one.port === port)] });
  }
  const seen = new Map(origin.heads.map((head) => [/^x-n: (\d+)/im.exec(head)?.[1], head]));
  const count = { accepted: 0, realServers: 0, director: 0, disk: 0, refused: 0 };
  for (const [n, { bytes, service }] of cases.entries()) {
    const head = parseHead(bytes);
    if (head.kind !== 'request') {
      count.refused++;
      continue;
    }
    count.accepted++;
    const words = JSON.stringify(bytes.toString('latin1').slice(0, 400));
    const { to } = matchUrl(service, head);
    const is = logged.get(String(n));
    if (is?.status === 405) continue; // TRACE and CONNECT are refused whatever the path
    if (is?.to !== to)
      t.fail(`${words}: nginx ${JSON.stringify(is)}, the matcher ${to}; ${JSON.stringify(service.rules)}`);
    const atOrigin = seen.get(String(n));
    const isOnDisk = to === 'real-servers' && onDisk.includes(head.path) && ['GET', 'HEAD'].includes(head.method);
    if (isOnDisk !== (atOrigin === undefined)) t.fail(`${words}: ${to}, asked the director: ${atOrigin !== undefined}`);
    count[isOnDisk ? 'disk' : to === 'director' ? 'director' : 'realServers']++;
    if (atOrigin === undefined) continue;
    const sent = parseHead(Buffer.from(atOrigin, 'latin1'));
    if (sent.kind !== 'request' || sent.path !== head.path || sent.query !== head.query)
      t.fail(`${words}: the director was sent ${JSON.stringify(atOrigin)}`);
  }
  t.comment(JSON.stringify(count));
  t.ok(count.disk > 5 && count.director > 200 && count.realServers > 200 && count.refused > 500, 'of every kind some');
});
