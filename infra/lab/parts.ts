// Starts real programs in the lab's hosts, each ready when its function returns.
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type Host, type Program, startProgram } from './host.ts';
import { waitFor } from './wait.ts';

const repository = join(import.meta.dirname, '../..');

/** Ports of the lab: images and PHP at the VIP, HAProxy and the controller at the director's own address. */
export const ports = { images: 80, php: 8080, haproxy: 8000, controller: 7100 };

/** lighttpd on a real server: /images/N.jpg (N from 1), /healthz, and the header X-Served-By on every answer. */
export async function startImages(
  host: Host,
  images: { count: number; bytes: number; requestsPerConnection?: number },
): Promise<Program> {
  const root = join(host.dir, 'www');
  await mkdir(join(root, 'images'), { recursive: true });
  await writeFile(join(root, 'healthz'), 'ok\n');
  for (let i = 1; i <= images.count; i++) await writeFile(join(root, `images/${i}.jpg`), jpeg(images.bytes));
  const { requestsPerConnection: most } = images;
  return startLighttpd(host, { name: 'images', port: ports.images, root, ...(most !== undefined && { most }) });
}

/** lighttpd on a real server, at several ports: the files of a folder, of which one is called healthz. */
export const startFiles = (host: Host, { root, ports: [port = 0, ...others] }: { root: string; ports: number[] }) =>
  startLighttpd(host, { name: 'files', port, root, others, more: 'server.max-keep-alive-idle = 60' });

/** lighttpd and php-fpm: every path answers with the host's name, PHP's version and the client's address. */
export async function startPhp(host: Host): Promise<Program[]> {
  const root = join(host.dir, 'php');
  const socket = join(host.dir, 'php.sock');
  await mkdir(root);
  await writeFile(
    join(root, 'index.php'),
    `<?php
echo 'Hello from ', gethostname(), ', PHP ', PHP_VERSION, ', to ', $_SERVER['REMOTE_ADDR'], "\\n";
`,
  );
  const fpm = await startPhpFpm(host, socket);
  const web = await startLighttpd(host, {
    name: 'php',
    port: ports.php,
    root,
    more: `server.modules += ("mod_fastcgi", "mod_rewrite")
url.rewrite-once = ("" => "/index.php")
fastcgi.server = (".php" => (("socket" => "${socket}")))`,
  });
  await answers(host, [web, fpm], `http://127.0.0.1:${ports.php}/`);
  return [web, fpm];
}

/** php-fpm, for whoever may open the socket. */
export async function startPhpFpm(host: Host, socket: string): Promise<Program> {
  const config = join(host.dir, 'php-fpm.conf');
  await writeFile(
    config,
    `[global]
daemonize = no
error_log = /dev/stderr
[www]
user = www-data
group = www-data
listen = ${socket}
listen.mode = 0666
pm = static
pm.max_children = 2
`,
  );
  return host.spawn('php-fpm', [await phpFpm(), '--nodaemonize', '--fpm-config', config]);
}

/** How HAProxy runs in every comparison: at its quickest. */
export const haproxyDefaults = `defaults
  mode http
  option splice-response
  http-reuse always
  timeout connect 5s
  timeout client 60s
  timeout server 60s`;

/** HAProxy on the director over the same real servers: what there was before, to compare with. */
export async function startHaproxy(host: Host, realServers: Host[]): Promise<Program> {
  const config = join(host.dir, 'haproxy.cfg');
  await writeFile(
    config,
    `${haproxyDefaults}
frontend images
  bind ${host.ip}:${ports.haproxy}
  default_backend real-servers
backend real-servers
  balance leastconn
${realServers.map(({ name, ip }) => `  server ${name} ${ip}:${ports.images}`).join('\n')}
`,
  );
  const haproxy = host.spawn('haproxy', ['haproxy', '-db', '-f', config]);
  await answers(host, [haproxy], `http://${host.ip}:${ports.haproxy}/healthz`);
  return haproxy;
}

/** The controller, from dist/. A lab's cards say a speed that they do not have. */
export async function startController(host: Host, speedMbit = 100): Promise<Program> {
  const listen = `${host.ip}:${ports.controller}`;
  const settings = { interface: 'eth0', listen, insecure: true, stateDir: '/var/lib/dsr', logLevel: 'info', speedMbit };
  const controller = await startOurs(host, 'controller', 'dist/src/controller.js', settings);
  await answers(host, [controller], `http://${listen}/healthz`);
  return controller;
}

/** An agent, from dist/. The controller's status tells when it has reported. */
export async function startAgent(host: Host, controller: Host, speedMbit = 100): Promise<Program> {
  const url = `http://${controller.ip}:${ports.controller}`;
  const settings = {
    controller: url,
    name: host.name,
    insecure: true,
    stateDir: '/var/lib/dsr',
    logLevel: 'info',
    speedMbit,
  };
  return startOurs(host, 'agent', 'dist/agents/agent.js', settings);
}

/** HAProxy once more, as a bridge from addresses outside of the hosts to the controller's API. */
export async function startApiBridge(controller: Host, dir: string, binds: string[]): Promise<Program> {
  const config = join(dir, 'api-bridge.cfg');
  await writeFile(
    config,
    `defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
listen api
${binds.map((bind) => `  bind ${bind}`).join('\n')}
  server controller ${controller.ip}:${ports.controller} namespace ${basename(controller.netnsPath)}
`,
  );
  return startProgram('api-bridge', ['haproxy', '-db', '-f', config], join(dir, 'api-bridge.log'));
}

export async function startOurs(host: Host, name: string, file: string, settings: object): Promise<Program> {
  const config = join(host.dir, `${name}.json`);
  await writeFile(config, `${JSON.stringify(settings, null, 2)}\n`);
  return host.spawn(name, [process.execPath, join(repository, file), '--config', config]);
}

interface Site {
  name: string;
  port: number;
  root: string;
  /** Requests that a connection may have. */
  most?: number;
  /** Further ports. */
  others?: number[];
  more?: string;
}

async function startLighttpd(
  host: Host,
  { name, port, root, most = 65535, others = [], more = '' }: Site,
): Promise<Program> {
  const config = join(host.dir, `${name}.conf`);
  await writeFile(
    config,
    `server.document-root = "${root}"
server.port = ${port}
$SERVER["socket"] == "[::]:${port}" {}
${others.map((other) => `$SERVER["socket"] == ":${other}" {}`).join('\n')}
server.modules = ("mod_setenv")
setenv.add-response-header = ("X-Served-By" => "${host.name}")
server.max-keep-alive-requests = ${most}
mimetype.assign = (".jpg" => "image/jpeg", "" => "text/plain")
${more}
`,
  );
  const lighttpd = host.spawn(name, ['lighttpd', '-D', '-f', config]);
  if (name !== 'php') await answers(host, [lighttpd], `http://127.0.0.1:${port}/healthz`);
  return lighttpd;
}

/** Waits until a URL answers 200, asked from within the host; fails at once when one of the programs ends. */
async function answers(host: Host, programs: Program[], url: string): Promise<void> {
  const tails = async (): Promise<string> => (await Promise.all(programs.map((program) => program.tail()))).join('\n');
  const asked = waitFor(() => host.exec(['curl', '--silent', '--fail', '--max-time', '2', url]), {
    what: `${url} on ${host.name} to answer`,
    explain: tails,
  });
  const ended = programs.map(async ({ name, ended }) => {
    const how = await ended;
    throw new Error(`${name} on ${host.name} has ended (${how})\n${await tails()}`);
  });
  await Promise.race([asked, ...ended]);
}

async function phpFpm(): Promise<string> {
  const found = (await readdir('/usr/sbin')).filter((file) => file.startsWith('php-fpm')).sort();
  const newest = found.at(-1);
  if (!newest) throw new Error('no php-fpm in /usr/sbin: the Debian package php-fpm is missing');
  return join('/usr/sbin', newest);
}

/** Not a picture, but the size of one, with a picture's first and last bytes. */
function jpeg(bytes: number): Buffer {
  const file = Buffer.alloc(bytes, 0x5a);
  Buffer.from('ffd8ffe000104a46494600', 'hex').copy(file);
  Buffer.from('ffd9', 'hex').copy(file, bytes - 2);
  return file;
}
