// In a guest: the same images by the same rules, from three real servers, by each engine of a URL policy, by HAProxy, and by a
// policy that goes by the port alone.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from '../lab/host.ts';
import { makeLab, vip } from '../lab/hosts.ts';
import { calm, slowMbit } from '../lab/measure.ts';
import { haproxyDefaults, ports, startController, startFiles, startOurs } from '../lab/parts.ts';
import { startFetcher, watchIdle } from '../lab/traffic.ts';
import { waitFor } from '../lab/wait.ts';
import type { Answered, Ask } from './asker.ts';
import type { Value } from './numbers.ts';
import { startBench } from './rounds.ts';

const sides = ['port policy', 'edge', 'handoff', 'redirect', 'HAProxy'] as const;
type Side = (typeof sides)[number];
/** How each size is asked for. */
const loads = {
  new: { what: '1 kB, a connection each', bytes: 1000, requestsPerConnection: 1, connections: 16, seconds: 6 },
  small: { what: '1 kB', bytes: 1000, requestsPerConnection: 20, connections: 16, seconds: 6 },
  middle: { what: '100 kB', bytes: 100_000, requestsPerConnection: 20, connections: 24, seconds: 6 },
  large: { what: '10 MB', bytes: 10_000_000, requestsPerConnection: 2, connections: 6, seconds: 10 },
} as const;
type Load = keyof typeof loads;
const kinds = {
  mbit: { group: 'at the client', unit: 'Mbit/s', better: 'more' },
  requests: { group: 'requests', unit: '1/s', better: 'more' },
  p50: { group: 'first byte, median', unit: 'ms' },
  p99: { group: 'first byte, 99 of 100 take less than', unit: 'ms' },
  share: { group: "of all bytes, left through the director's card", unit: '%' },
  moved: { group: 'answered by a real server', unit: '1/s', better: 'more' },
  idle: { group: "idle of the guest's one CPU", unit: '%', better: 'more' },
} as const;
type Kind = keyof typeof kinds;
const keyOf = (kind: Kind, load: Load) => `${kind} ${load}`;
const names = Object.keys(loads) as Load[];
const bench = startBench<string, Side>({
  sides,
  measures: Object.fromEntries(
    (Object.keys(kinds) as Kind[]).flatMap((kind) =>
      names.map((load) => [keyOf(kind, load), { what: loads[load].what, ...kinds[kind] }]),
    ),
  ),
});

const settings = { realServers: 3 };
const lab = await makeLab({ ...settings, mbit: 100 });
const { director, client, realServers } = lab;
/** The real servers' own web server, and the ports of the VIP. */
const plain = 8001;
const portOf = { 'port policy': plain, edge: 8002, handoff: 8003, redirect: 8004 } as const;
const origin = `${director.ip}:${ports.php}`;

await startSites();
await startHaproxyByUrl();
await startController(director);
await startOurs(director, 'front', 'dist/src/front.js', {
  controller: `http://${director.ip}:${ports.controller}`,
  link: `${director.ip}:7101`,
  insecure: true,
  stateDir: '/var/lib/dsr-front',
});
for (const rs of realServers) await startTaker(rs);
await put();
const all = realServers.map(({ name }) => name).join();
const asker = startFetcher<Ask>({
  client,
  fetchCommand: [process.execPath, '--import', 'tsx', join(import.meta.dirname, 'asker.ts')],
});
for (const side of sides)
  await waitFor(
    async () => (await measure(side, 'middle', 1)).senders === (side === 'HAProxy' ? `${all},director` : all),
    {
      what: `${side}: every real server to answer by its own card, behind HAProxy by the director's too`,
    },
  );
await calm();
const mbit = await fillable();
let failed = 0;
await bench.alternate(async (side) => {
  const values: Record<string, Value> = {};
  for (const load of names) {
    const { mbit, share, idle, ...of } = await measure(side, load);
    failed += of.failed;
    const moved = (of.requests - (of.served.director ?? 0)) / of.seconds;
    const cell = { mbit, requests: of.requests / of.seconds, p50: of.firstByteP50Ms, p99: of.firstByteP99Ms, share, moved, idle }; // biome-ignore format: short
    for (const [kind, value] of Object.entries(cell)) values[keyOf(kind as Kind, load)] = value;
  }
  return values;
});
asker.end();
await lab.close();

const median = (kind: Kind, load: Load, side: Side) => bench.median(keyOf(kind, load), side) ?? 0;
const edge = median('mbit', 'middle', 'edge') / median('mbit', 'middle', 'port policy');
const handoff = median('mbit', 'middle', 'handoff') / median('mbit', 'middle', 'HAProxy');
const share = median('share', 'middle', 'handoff');
await bench.finish({
  settings: { ...settings, mbit },
  programs: ['nginx', 'haproxy', 'lighttpd'],
  about: `${realServers.length} real servers with cards of ${mbit} Mbit/s${mbit < 100 ? ' (faster ones this machine did not fill)' : ''}; 6 to 10 s a size; the sides alternate. GET and HEAD of jpg go to the real servers, all else to the director's web server. Edge: nginx; handoff: the agent; the others: lighttpd. Of 1 kB with a connection each, what a real server answers is one hand-off. A first byte is counted from the connecting, of the answer that has the object: a redirect's second connection too.`,
  verdict: [
    { what: 'edge against the port policy, 100 kB', goal: 'at least 0.95 x', measured: `${edge.toFixed(2)} x`, met: edge >= 0.95 }, // biome-ignore format: short
    { what: 'handoff against HAProxy, 100 kB', goal: 'at least 2.5 x', measured: `${handoff.toFixed(2)} x`, met: handoff >= 2.5 }, // biome-ignore format: short
    { what: "handoff, the director's card, 100 kB", goal: 'under 3 % of the bytes', measured: `${share.toFixed(2)} %`, met: share < 3 }, // biome-ignore format: short
    { what: 'failed requests', goal: 'none', measured: String(failed), met: failed === 0 },
  ],
});

async function measure(side: Side, load: Load, seconds: number = loads[load].seconds) {
  const at = side === 'HAProxy' ? { host: director.ip, port: ports.haproxy } : { host: vip, port: portOf[side] };
  const { connections, requestsPerConnection } = loads[load];
  asker.ask({ ...at, path: `/img/${load}.jpg`, connections, requestsPerConnection, seconds });
  await asker.said();
  const before = await lab.counters();
  const idle = await watchIdle();
  const answered = (await asker.said()) as Answered;
  const after = await lab.counters();
  const grown = (name: string, way: 'tx' | 'rx') => (after[name]?.[way] ?? 0) - (before[name]?.[way] ?? 0);
  return {
    ...answered,
    mbit: (answered.bytes * 8) / 1e6 / answered.seconds,
    share: (100 * grown('director', 'tx')) / grown('client', 'rx'),
    idle: 100 * (await idle()),
    /** Whose cards sent more than a twentieth of it. */
    senders: [...realServers, director].map(({ name }) => name).filter((name) => grown(name, 'tx') > grown('client', 'rx') / 20).join(), // biome-ignore format: one chain
  };
}

async function fillable(): Promise<number> {
  for (const mbit of [100, slowMbit]) {
    await lab.setSpeed(mbit);
    const of = await measure('port policy', 'middle', 3);
    console.log(`cards of ${mbit} Mbit/s: ${of.mbit.toFixed(0)} Mbit/s at the client`);
    if (of.mbit >= 0.85 * realServers.length * mbit) return mbit;
  }
  return slowMbit;
}

/** The same files everywhere, by lighttpd; on real servers by nginx too, for the engine edge. */
async function startSites(): Promise<void> {
  const root = join(director.dir, 'site');
  await mkdir(join(root, 'img'), { recursive: true });
  await writeFile(join(root, 'healthz'), 'ok\n');
  for (const load of names) await writeFile(join(root, `img/${load}.jpg`), Buffer.alloc(loads[load].bytes, 0x5a));
  await startFiles(director, { root, ports: [ports.php] });
  for (const rs of realServers) {
    await startFiles(rs, { root, ports: [plain] });
    await mkdir(join(rs.dir, 'cache'), { recursive: true });
    await writeFile(nginxOf(rs), nginxText(rs));
    rs.spawn('nginx', ['nginx', '-c', nginxOf(rs), '-e', 'stderr']);
  }
}

function nginxOf(rs: Host): string {
  return join(rs.dir, 'nginx.conf');
}

function nginxText(rs: Host): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `daemon off;
user root;
pid ${rs.dir}/nginx.pid;
events {}
http {
${temporary.map((name) => `  ${name}_temp_path ${rs.dir}/${name};`).join('\n')}
  types { image/jpeg jpg; }
  access_log off;
  sendfile on;
  tcp_nopush on;
  add_header X-Served-By ${rs.name};
  include /var/lib/dsr/edge*.conf;
}
`;
}

async function startTaker(rs: Host): Promise<void> {
  await startOurs(rs, 'agent', 'dist/agents/agent.js', {
    controller: `http://${director.ip}:${ports.controller}`,
    name: rs.name,
    insecure: true,
    stateDir: '/var/lib/dsr',
    speedMbit: 100,
    handoff: { root: join(director.dir, 'site') },
    edge: {
      root: join(director.dir, 'site'),
      cache: join(rs.dir, 'cache'),
      validate: ['nginx', '-t', '-q', '-c', nginxOf(rs)],
      reload: ['nginx', '-s', 'reload', '-c', nginxOf(rs)],
    },
  });
}

async function startHaproxyByUrl(): Promise<void> {
  const config = join(director.dir, 'haproxy-url.cfg');
  await writeFile(
    config,
    `${haproxyDefaults}
frontend all
  bind ${director.ip}:${ports.haproxy}
  acl image path_end -i .jpg
  acl reads method GET HEAD
  use_backend real-servers if image reads
  default_backend director
backend real-servers
  balance leastconn
${realServers.map(({ name, ip }) => `  server ${name} ${ip}:${plain}`).join('\n')}
backend director
  server director ${origin}
`,
  );
  director.spawn('haproxy-url', ['haproxy', '-db', '-f', config]);
}

async function put(): Promise<void> {
  const rules = [{ match: { methods: ['GET', 'HEAD'], extensions: ['jpg'] }, to: 'real-servers' }];
  const byUrl = { policy: 'url', rules, check: { type: 'http', path: '/healthz' } };
  const pool = {
    vip,
    ports: {
      [`${portOf['port policy']}/tcp`]: { policy: 'real-servers', check: { type: 'http', path: '/healthz' } },
      [`${portOf.edge}/tcp`]: {
        ...byUrl,
        engine: 'edge',
        edge: { origin },
        check: { type: 'http', path: '/.well-known/dsr-edge' },
      },
      [`${portOf.handoff}/tcp`]: { ...byUrl, engine: 'handoff', handoff: { minBytes: 0, local: origin } },
      [`${portOf.redirect}/tcp`]: {
        policy: 'url',
        rules,
        engine: 'redirect',
        redirect: {
          local: origin,
          hosts: Object.fromEntries(realServers.map(({ name, ip }) => [name, `${ip}:${plain}`])),
        },
      },
    },
    realServers: Object.fromEntries(realServers.map(({ name, ip }) => [name, { address: ip }])),
  };
  const argv = ['curl', '-sS', '--fail-with-body', '-X', 'PUT', '-H', 'content-type: application/json', '-d', '@-'];
  await director.exec([...argv, `http://${director.ip}:${ports.controller}/v1/pools/web`], {
    input: JSON.stringify(pool),
  });
}
