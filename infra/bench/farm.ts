// The guest itself as director, and one namespace that stands for all real servers: it has their addresses and the
// VIPs, and listens.
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { type Program, startProgram } from '../lab/host.ts';
import { waitFor } from '../lab/wait.ts';

export interface Farm {
  realServers: { name: string; address: string }[];
  controller: Program;
  /** For files; gone with the guest. */
  dir: string;
  /** What the API answers; an error when it is not done. */
  call: (method: string, path: string, body?: unknown) => Promise<unknown>;
  /** Starts a program whose output goes to `dir`. */
  start: (name: string, argv: string[]) => Program;
  end: () => Promise<void>;
}

const api = 'http://127.0.0.1:7100';

export async function makeFarm(options: {
  realServers: number;
  vips: readonly string[];
  ports: readonly number[];
}): Promise<Farm> {
  const dir = mkdtempSync('/tmp/bench-');
  const realServers = Array.from({ length: options.realServers }, (_, i) => ({ name: `rs${i + 1}`, address: `192.0.2.${i + 11}` })); // biome-ignore format: short
  await execa('sh', ['-e'], {
    input: `ip netns add farm
ip link add eth0 type veth peer name eth0 netns farm
ip addr add 192.0.2.10/24 dev eth0
ip link set eth0 up
ip netns exec farm sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
ip -n farm link set lo up
ip -n farm link set eth0 up
${realServers.map(({ address }) => `ip -n farm addr add ${address}/24 dev eth0`).join('\n')}
${options.vips.map((vip) => `ip -n farm addr add ${vip}/32 dev lo`).join('\n')}
`,
  });
  const programs: Program[] = [];
  const start = (name: string, argv: string[]): Program => {
    const program = startProgram(name, argv, join(dir, `${name}.log`));
    programs.push(program);
    return program;
  };
  const listen = `for (const port of ${JSON.stringify(options.ports)}) require('node:net').createServer((socket) => socket.on('error', () => {}).destroy()).listen(port)`;
  start('farm', ['ip', 'netns', 'exec', 'farm', 'node', '-e', listen]);
  const settings = {
    interface: 'eth0',
    'manage-vip': false,
    insecure: true,
    'probe-address': '192.0.2.9',
    'state-dir': dir,
    'log-level': 'error',
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const controller = start('controller', ['node', '--max-semi-space-size=4', 'dist/src/controller.js', ...flags]);
  await waitFor(() => fetch(`${api}/healthz`).then(({ ok }) => ok), { what: 'the controller to answer', timeoutMs: 120_000, explain: controller.tail }); // biome-ignore format: short
  return {
    realServers,
    controller,
    dir,
    call,
    start,
    end: async () => {
      await Promise.all(programs.toReversed().map((program) => program.end()));
    },
  };
}

async function call(method: string, path: string, body?: unknown): Promise<unknown> {
  const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
  const json = body !== undefined && { headers: { 'content-type': type }, body: JSON.stringify(body) };
  const response = await fetch(`${api}${path}`, { method, ...json });
  const answer = await response.text();
  if (response.status >= 300 || response.status === 202)
    throw new Error(`${method} ${path}: ${response.status} ${answer.slice(0, 500)}`);
  return answer && JSON.parse(answer);
}
