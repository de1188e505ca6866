// The ways to make one change, and to look at the state: the controller's API, and what its peers have for the same.
import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { execa } from 'execa';
import { waitFor } from '../lab/wait.ts';
import type { Farm } from './farm.ts';
import { keepalivedArgv, keepalivedConfig, ldirectordArgv, ldirectordConfig, type Service } from './peers.ts';

export const keptOpen = 'ipvsadm -R, kept open';
export const sides = ['dsr-controller', 'ipvsadm', keptOpen, 'keepalived', 'ldirectord', 'HAProxy'] as const;
export type Side = (typeof sides)[number];
export const vips = Object.fromEntries(sides.map((side, i) => [side, `198.51.100.${i + 1}`])) as Record<Side, string>;
export const [port, secondPort] = [8000, 8001];

/** What a side shall have: rs1's weight at the first port, and whether the second port's service is there. */
export interface Wanted {
  weight: number;
  second: boolean;
}

export const first: Wanted = { weight: 100, second: false };

export interface Way {
  weigh: (weight: number) => Promise<unknown>;
  /** With the weight of {@link first}. */
  serve?: (second: boolean) => Promise<unknown>;
  look?: () => Promise<unknown>;
  end?: () => unknown;
}

export async function waysOf(farm: Farm): Promise<Record<Side, Way>> {
  return {
    'dsr-controller': await ourWay(farm),
    ipvsadm: await ipvsadmWay(farm),
    [keptOpen]: keptOpenWay(farm),
    keepalived: await fileWay(farm, 'keepalived', keepalivedConfig, (file) => keepalivedArgv(file, farm.dir)),
    ldirectord: await fileWay(farm, 'ldirectord', ldirectordConfig, ldirectordArgv),
    HAProxy: await haproxyWay(farm),
  };
}

async function ourWay({ call, realServers }: Farm): Promise<Way> {
  const pool = (second: boolean) => ({
    vip: vips['dsr-controller'],
    ports: Object.fromEntries(
      (second ? [port, secondPort] : [port]).map((one) => [`${one}/tcp`, { policy: 'real-servers' }]),
    ),
    realServers: Object.fromEntries(realServers.map(({ name, address }) => [name, { address }])),
    attestation: 'optional',
    // One check for all ports of the VIP on a real server.
    check: { type: 'tcp', port },
  });
  const serve = (second: boolean) => call('PUT', '/v1/pools/web?waitMs=10000', pool(second));
  await serve(false);
  return {
    weigh: (weight) => call('PATCH', '/v1/pools/web/real-servers/rs1?waitMs=10000', { weight }),
    serve,
    look: () => call('GET', '/v1/status?pool=web'),
  };
}

/** Lines for `ipvsadm -R`. */
function added({ realServers }: Farm, vip: string, port: number): string {
  const destinations = realServers.map(({ address }) => `-a -t ${vip}:${port} -r ${address}:${port} -g -w 100\n`);
  return `-A -t ${vip}:${port} -s wlc\n${destinations.join('')}`;
}

function weighed({ realServers }: Farm, vip: string, weight: number): string {
  return `-e -t ${vip}:${port} -r ${realServers[0]?.address}:${port} -g -w ${weight}`;
}

async function ipvsadmWay(farm: Farm): Promise<Way> {
  const vip = vips.ipvsadm;
  const restore = (input: string) => execa('ipvsadm', ['-R'], { input });
  await restore(added(farm, vip, port));
  return {
    weigh: (weight) => execa('ipvsadm', weighed(farm, vip, weight).split(' ')),
    serve: (second) =>
      second ? restore(added(farm, vip, secondPort)) : execa('ipvsadm', ['-D', '-t', `${vip}:${secondPort}`]),
    look: () => execa('ipvsadm', ['-Ln']),
  };
}

/** It does each line as it comes. */
function keptOpenWay(farm: Farm): Way {
  const vip = vips[keptOpen];
  const running = execa('ipvsadm', ['-R'], { stdin: 'pipe', reject: false, cleanup: true });
  const tell = async (lines: string) => running.stdin.write(lines);
  void tell(added(farm, vip, port));
  return {
    weigh: (weight) => tell(`${weighed(farm, vip, weight)}\n`),
    serve: (second) => tell(second ? added(farm, vip, secondPort) : `-D -t ${vip}:${secondPort}\n`),
    end: () => running.stdin.end(),
  };
}

/** A daemon that reads its file again when it is told. */
async function fileWay(
  { dir, realServers, start }: Farm,
  side: 'keepalived' | 'ldirectord',
  config: (service: Service) => string,
  argv: (file: string) => string[],
): Promise<Way> {
  const file = join(dir, `${side}.conf`);
  const check = { intervalMs: 1000, timeoutMs: 500, fall: 3 };
  const write = ({ weight, second }: Wanted) => {
    const servers = realServers.map(({ address }, i) => ({ ip: address, weight: i === 0 ? weight : 100 }));
    return writeFile(file, config({ vip: vips[side], ports: second ? [port, secondPort] : [port], realServers: servers, check })); // biome-ignore format: short
  };
  await write(first);
  const { pid } = start(side, argv(file));
  const reload = async (wanted: Wanted) => {
    await write(wanted);
    process.kill(pid, 'SIGHUP');
  };
  return {
    weigh: (weight) => reload({ weight, second: false }),
    serve: (second) => reload({ weight: 100, second }),
  };
}

async function haproxyWay({ dir, realServers, start }: Farm): Promise<Way> {
  const [file, socket] = ['haproxy.cfg', 'haproxy.sock'].map((name) => join(dir, name)) as [string, string];
  await writeFile(
    file,
    `global
  stats socket ${socket} level admin
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen web
  bind 127.0.0.1:${port}
${realServers.map(({ name, address }) => `  server ${name} ${address}:${port} weight 100 check`).join('\n')}
`,
  );
  start('haproxy', ['haproxy', '-db', '-f', file]);
  const ask = async (command: string) => {
    const connection = connect(socket);
    connection.end(`${command}\n`);
    return (await text(connection)).trim();
  };
  const weigh = async (weight: number) => {
    const answer = await ask(`set weight web/rs1 ${weight}`);
    if (answer) throw new Error(`HAProxy: ${answer}`);
  };
  await waitFor(() => weigh(100).then(() => true), { what: 'HAProxy to answer' });
  return { weigh, look: () => ask('show stat') };
}
