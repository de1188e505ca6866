// The URL decides who answers: images from the real servers' own disks and cards, all else from the director.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { Host } from '../../infra/lab/host.ts';
import { vip } from '../../infra/lab/hosts.ts';
import type { PoolText } from './api.ts';
import { ipvs } from './kernel.ts';
import { makeSite } from './site.ts';

const site = await makeSite(t, { realServers: 3 });
const { api, client, director, realServers, until } = site;
const rs1 = realServers[0]!;
const size = 400_000;
const nginx = '/usr/sbin/nginx';
const mainOf = (host: Host) => join(host.dir, 'nginx.conf');

/** nginx as an operator has it, which knows nothing of us but the include. */
const mainText = (host: Host, more = '') => `daemon off;
user www-data;
pid ${host.dir}/nginx.pid;
error_log ${host.dir}/nginx-error.log;
events {}
http {
${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `  ${name}_temp_path ${host.dir}/${name};`).join('\n')}
  types { image/jpeg jpg; }
  access_log off;
  server { listen 80 default_server; return 404 "nobody\\n"; }
  include /var/lib/dsr/edge*.conf;
  ${more}
}
`;

/** The director's own web server: tells what it was asked, and when an upload begins. */
const originScript = `const counts = {};
require('node:http').createServer((request, response) => {
  const { method, url, headers } = request;
  counts[url] = (counts[url] ?? 0) + 1;
  let bytes = 0;
  request.on('data', (chunk) => {
    if (bytes === 0) console.log('upload begins');
    bytes += chunk.length;
  });
  request.on('end', () => {
    if (url.startsWith('/counts')) return response.end(JSON.stringify(counts));
    response.setHeader('content-type', url.endsWith('.jpg') ? 'image/jpeg' : 'text/plain');
    response.end(url.endsWith('.jpg') ? 'from the director ' + counts[url] : JSON.stringify({ method, url, bytes, host: headers.host, from: headers['x-forwarded-for'], forwarded: headers.forwarded }));
  });
}).listen(8080, '${director.ip}', () => console.log('listening'));`;

const get = async (path: string, ...words: string[]): Promise<string> =>
  String((await client.exec(['curl', '-s', '--max-time', '20', ...words, `http://${vip}${path}`])).stdout);
/** Over that many connections, so that each real server is asked as often. */
const getAll = (path: string, times: number) => Promise.all(Array.from({ length: times }, () => get(path)));
const counts = async () => JSON.parse(await get('/counts')) as Record<string, number>;
const pool = (extensions: string[]): PoolText => ({
  vip,
  ports: {
    '80/tcp': {
      policy: 'url',
      scheduler: 'rr',
      rules: [{ match: { methods: ['GET', 'HEAD'], extensions, pathPrefix: '/img/' }, to: 'real-servers' }],
      edge: { origin: `${director.ip}:8080`, cacheMb: 10 },
      check: { type: 'http', path: '/.well-known/dsr-edge', intervalMs: 500 },
    },
  },
  realServers: Object.fromEntries(realServers.map(({ name, ip }) => [name, { address: ip }])),
});
const allServe = () =>
  until(
    async () => (await ipvs(director)).filter((line) => line.endsWith('-w 100')).length === 3,
    'all to carry traffic',
    300_000,
  );

const origin = director.spawn('origin', [process.execPath, '-e', originScript]);
await until(async () => (await origin.tail()).includes('listening'), 'the origin');
for (const rs of realServers) {
  await mkdir(join(rs.dir, 'www/img'), { recursive: true });
  await mkdir(join(rs.dir, 'cache'));
  await writeFile(join(rs.dir, 'www/img/who.jpg'), rs.name);
  await writeFile(join(rs.dir, 'www/img/big.jpg'), Buffer.alloc(size));
  await writeFile(mainOf(rs), mainText(rs));
  rs.spawn('nginx', [nginx, '-c', mainOf(rs), '-e', `${rs.dir}/nginx-error.log`]);
}
await site.startController();
for (const rs of realServers)
  site.startAgent(rs, {
    'edge-root': join(rs.dir, 'www'),
    'edge-cache': join(rs.dir, 'cache'),
    'edge-validate': `${nginx},-t,-q,-c,${mainOf(rs)}`,
    'edge-reload': `${nginx},-s,reload,-c,${mainOf(rs)}`,
  });

t.test('images come from the real servers, by their own cards, and all else from the director', async (t) => {
  await api.put('web', pool(['jpg']));
  await allServe();
  t.strictSame([...new Set(await getAll('/img/who.jpg', 9))].sort(), ['rs1', 'rs2', 'rs3']);
  const before = await site.counters();
  const sizes = await Promise.all(
    Array.from({ length: 9 }, () => get('/img/big.jpg', '-o', '/dev/null', '-w', '%{size_download}')),
  );
  t.strictSame(
    sizes,
    Array.from({ length: 9 }, () => String(size)),
  );
  const after = await site.counters();
  const sent = (name: string) => (after[name]?.tx ?? 0) - (before[name]?.tx ?? 0);
  for (const { name } of realServers) t.ok(sent(name) > 2 * size, `${name} sent ${sent(name)}`);
  // Its own talk, while all of that goes on; one image would be more.
  t.ok(sent('director') < size, `the director sent ${sent('director')}`);
  const page = JSON.parse(
    await get('/page.php?a=%2F', '-H', 'X-Forwarded-For: 6.6.6.6', '-H', 'Forwarded: for=6.6.6.6'),
  );
  t.strictSame(page, { method: 'GET', url: '/page.php?a=%2F', bytes: 0, host: vip, from: client.ip });
  t.match(await get('/img/who.jpg', '-d', 'x'), /^from the director/, 'a POST is nothing for a real server');
});

t.test('an upload reaches the director while it is still sent, and may be large', async (t) => {
  const upload = client.exec(['curl', '-s', '--max-time', '60', '-X', 'POST', '-T', '-', `http://${vip}/upload.php`]);
  upload.catch(() => {}); // it is awaited below
  upload.stdin?.write('first');
  await until(
    async () => (await readFile(origin.log, 'utf8')).includes('upload begins\nupload begins'),
    'its first bytes',
  );
  upload.stdin?.end(Buffer.alloc(5_000_000));
  t.match(JSON.parse(String((await upload).stdout)), { method: 'POST', bytes: 5_000_005 });
});

t.test('what a real server lacks it fetches once, and again when it is purged', async (t) => {
  const all = await Promise.all([getAll('/img/new.jpg', 9), getAll('/img/new.jpg', 9)]);
  t.ok(all.flat().every((text) => text.startsWith('from the director')));
  t.equal((await counts())['/img/new.jpg'], 3, 'once by each of three');
  const { status, body } = await api.call<{ waiting: string[] }>(
    'DELETE',
    '/v1/pools/web/cache?path=/img/new.jpg&waitMs=60000',
  );
  t.match({ status, body }, { status: 200, body: { purged: '/img/new.jpg', waiting: [] } });
  await until(async () => {
    await getAll('/img/new.jpg', 3);
    return (await counts())['/img/new.jpg'] === 6;
  }, 'each to fetch it again');
  await getAll('/img/new.jpg', 9);
  t.equal((await counts())['/img/new.jpg'], 6);
});

t.test('a configuration that nginx does not take changes nothing, and status says why', async (t) => {
  const file = join(rs1.dir, 'state/edge.conf');
  const good = await readFile(file, 'utf8');
  await writeFile(mainOf(rs1), mainText(rs1, 'nonsense on;'));
  await api.put('web', pool(['jpg', 'webp']));
  const warnings = async () => {
    const { observed } = (await api.status('web')).pools.web!.realServers.rs1 as unknown as {
      observed: { warnings: string[] };
    };
    return observed.warnings.join();
  };
  await until(async () => /older rules: nginx does not take.*nonsense/.test(await warnings()), 'the reason');
  // While it is tried, the new one is there.
  await until(async () => (await readFile(file, 'utf8')) === good, 'the old one to be back');
  await allServe();
  t.strictSame([...new Set(await getAll('/img/who.jpg', 9))].sort(), ['rs1', 'rs2', 'rs3'], 'it serves on');
  await writeFile(mainOf(rs1), mainText(rs1));
  await until(async () => (await warnings()) === '', 'it to be taken then', 300_000);
  t.match(await readFile(file, 'utf8'), /jpg\|webp/);
});

t.test('explain says by which rule, which way, and who', async (t) => {
  const { body } = await api.call<{ answers: unknown[] }>('POST', '/v1/explain', {
    url: 'http://example.com/img/a.JPG',
  });
  t.match(body.answers, [
    { pool: 'web', engine: 'edge', to: 'real-servers', rule: 1, realServers: [{ sharePercent: 33.3 }, {}, {}] },
  ]);
});

t.test('when the pool goes, so does the configuration', async (t) => {
  await api.clear();
  for (const rs of realServers)
    await until(
      async () =>
        readFile(join(rs.dir, 'state/edge.conf')).then(
          () => false,
          () => true,
        ),
      'it to go',
    );
  t.equal((await rs1.exec(['curl', '-s', 'http://127.0.0.1/img/who.jpg'])).stdout, 'nobody');
});
