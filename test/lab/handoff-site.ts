// A lab whose port 80 has a URL policy that the front serves: PHP and images on the director, images on the real servers.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { Host, Program } from '../../infra/lab/host.ts';
import { type LabOptions, vip } from '../../infra/lab/hosts.ts';
import { startPhpFpm } from '../../infra/lab/parts.ts';
import type { PoolText } from './api.ts';
import { makeSite, ours, type Site } from './site.ts';
import { imageBytes, images, type Result } from './url-scenarios.ts';

const repository = join(import.meta.dirname, '../..');

export interface FrontSite extends Site {
  agents: Map<Host, Program>;
  /** The last one that was started. */
  front: () => Program;
  startFront: () => Program;
  startTaker: (host: Host) => Program;
  /** Runs scenarios on the client. */
  scenarios: (times: number, parallel: number, names?: readonly string[]) => Promise<Result[]>;
  /** Resets that a host's kernel has sent. */
  resets: (host: Host) => Promise<number>;
  /** Agents have a link and a weight. */
  waitForLinks: (count: number) => Promise<void>;
  /** Ends the front in order, and says what it counted. */
  endFront: () => Promise<Record<string, number>>;
  /** Stores the policy of port 80, and waits until the front and both agents go by it. */
  use: (port: object) => Promise<void>;
}

/** Files of a host: images, /healthz and, on the director, PHP. */
async function writeFiles(host: Host): Promise<string> {
  const root = join(host.dir, 'site');
  await mkdir(join(root, 'images'), { recursive: true });
  await writeFile(join(root, 'healthz'), 'ok\n');
  for (const [name, length] of Object.entries(images))
    await writeFile(join(root, `images/${name}.jpg`), imageBytes(length));
  await writeFile(
    join(root, 'index.php'),
    `<?php
$body = file_get_contents('php://input');
echo json_encode(['host' => gethostname(), 'query' => $_SERVER['QUERY_STRING'], 'md5' => md5($body),
  'forwarded' => $_SERVER['HTTP_X_FORWARDED_FOR'] ?? null, 'method' => $_SERVER['REQUEST_METHOD']]);
`,
  );
  return root;
}

/** lighttpd and php-fpm on the director's port 8080, on loopback alone. */
export async function startOrigin(host: Host): Promise<Program[]> {
  const root = await writeFiles(host);
  const socket = join(host.dir, 'origin.sock');
  const config = join(host.dir, 'origin.conf');
  await writeFile(
    config,
    `server.document-root = "${root}"
server.bind = "127.0.0.1"
server.port = 8080
server.modules = ("mod_fastcgi")
mimetype.assign = (".jpg" => "image/jpeg", "" => "text/plain")
fastcgi.server = (".php" => (("socket" => "${socket}")))
`,
  );
  return [await startPhpFpm(host, socket), host.spawn('origin', ['lighttpd', '-D', '-f', config])];
}

/** nginx of a real server, behind its agent. */
async function startNginx(host: Host): Promise<Program> {
  const root = await writeFiles(host);
  const config = join(host.dir, 'nginx.conf');
  await writeFile(
    config,
    `daemon off;
user root;
pid ${host.dir}/nginx.pid;
error_log stderr;
events {}
http {
  access_log off;
${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((what) => `  ${what}_temp_path ${host.dir}/${what};`).join('\n')}
  types { image/jpeg jpg; }
  default_type text/plain;
  server { listen 127.0.0.1:8081; root ${root}; }
}
`,
  );
  return host.spawn('nginx', ['nginx', '-e', 'stderr', '-c', config]);
}

/** A URL policy by which images are the real servers'. */
export const urlPort = (more: object): PoolText['ports'][string] => ({
  policy: 'url',
  rules: [{ match: { methods: ['GET', 'HEAD'], extensions: ['jpg'] }, to: 'real-servers' }],
  check: { type: 'http', path: '/healthz', intervalMs: 500, timeoutMs: 2000, fall: 3, rise: 1 },
  ...more,
});

/** The front on the director. */
export const startFrontOn = ({ start, director }: Site): Program =>
  start(
    director,
    'front',
    ours('src/front.js', { controller: `http://${director.ip}:7100`, link: `${director.ip}:7101`, insecure: 'true' }),
  );

/** Everything runs and two agents have a link: rs1 sends files itself, rs2 by nginx. */
export async function makeFrontSite(t: Test, options: LabOptions = {}): Promise<FrontSite> {
  const site = await makeSite(t, options);
  const { director, client, rs1, rs2, until, api } = site;
  await startOrigin(director);
  const root = await writeFiles(rs1);
  await startNginx(rs2);
  const answering = new Map([
    [rs1, { 'handoff-root': root }],
    [rs2, { 'handoff-server': '127.0.0.1:8081' }],
  ]);
  let front: Program;
  const startFront = () => {
    front = startFrontOn(site);
    return front;
  };
  const startTaker = (host: Host) => site.startAgent(host, answering.get(host) ?? {});
  await site.startController();
  const pool = (port: object) => ({
    vip,
    ports: { '80/tcp': urlPort(port) },
    realServers: { rs1: { address: rs1.ip }, rs2: { address: rs2.ip } },
  });
  await api.put('web', pool({ engine: 'handoff' }), 0);
  startFront();
  const agents = new Map([rs1, rs2].map((host) => [host, startTaker(host)]));
  const waitForLinks: FrontSite['waitForLinks'] = async (count) => {
    await until(
      async () => {
        const { stdout } = await director.exec(['ss', '-Htn', 'state', 'established', 'sport', '=', ':7101']);
        const { pools } = await api.status('web');
        const serving = Object.values(pools.web?.realServers ?? {}).filter(({ weight }) => weight > 0).length;
        return stdout.split('\n').filter(Boolean).length >= count && serving >= count;
      },
      `${count} agents with a link and a weight`,
      120_000,
    );
  };
  await waitForLinks(2);
  return {
    ...site,
    front: () => front,
    agents,
    startFront,
    startTaker,
    waitForLinks,
    endFront: async () => {
      await front.end('SIGTERM');
      const log = await readFile(join(director.dir, 'front.log'), 'utf8');
      const words = log.split('\n').filter((line) => line.includes('"stopping;'));
      return JSON.parse(words.at(-1) ?? '{}') as Record<string, number>;
    },
    use: async (port) => {
      await api.put('web', pool(port));
      const wanted = JSON.stringify(port).match(/"\w+":(\d+|"[^"]*")/g) ?? [];
      const has = async (host: Host, file: string) => {
        const text = (await readFile(join(host.dir, 'state', file), 'utf8')).replaceAll(' ', '');
        return wanted.every((part) => text.includes(part));
      };
      await until(
        async () =>
          (await has(director, 'front/front.json')) && (await has(rs1, 'agent.json')) && (await has(rs2, 'agent.json')),
        'the front and the agents to have the policy',
      );
    },
    scenarios: async (times, parallel, names = []) => {
      const file = join(import.meta.dirname, 'url-scenarios.ts');
      const program = [process.execPath, '--import', join(repository, 'node_modules/tsx/dist/loader.mjs'), file];
      const { stdout } = await client.exec(
        ['env', '-u', 'NODE_OPTIONS', ...program, vip, String(times), String(parallel), ...names],
        { maxBuffer: 1 << 26, timeout: 570_000 },
      );
      return JSON.parse(String(stdout)) as Result[];
    },
    resets: async (host) => {
      const { stdout } = await host.exec(['cat', '/proc/net/snmp']);
      const [names = '', values = ''] = String(stdout).split('\n').filter((line) => line.startsWith('Tcp:')); // biome-ignore format: short
      return Number(values.split(' ')[names.split(' ').indexOf('OutRsts')]);
    },
  };
}
