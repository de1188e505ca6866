// In a guest: 1,000 services with 10 destinations each, from empty, by `ipvsadm -R` and by a PUT to the controller.
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { waitFor } from '../lab/wait.ts';
import { markdown, median, spread, table } from './numbers.ts';

const [resultFile = '', roundsText = '7'] = process.argv.slice(2);
const rounds = Number(roundsText);
const vips = 100;
const portsEach = 10;
const servers = Array.from({ length: 10 }, (_, i) => ({ name: `rs${i + 1}`, address: `192.0.2.${i + 11}` }));
const vipList = Array.from({ length: vips }, (_, i) => `198.51.100.${i + 1}`);
const api = 'http://127.0.0.1:7100';
const dir = mkdtempSync('/tmp/bench-');

// One namespace stands for all real servers: it has their addresses and the VIPs, and listens on the port that is checked.
const prober = { address: '192.0.2.9' };
await execa('sh', ['-e'], {
  input: `ip netns add farm
ip link add eth0 type veth peer name eth0 netns farm
ip addr add 192.0.2.10/24 dev eth0
ip link set eth0 up
ip netns exec farm sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
ip -n farm link set lo up
ip -n farm link set eth0 up
${servers.map(({ address }) => `ip -n farm addr add ${address}/24 dev eth0`).join('\n')}
${vipList.map((vip) => `ip -n farm addr add ${vip}/32 dev lo`).join('\n')}
`,
});
const listen = `require('node:net').createServer((socket) => socket.on('error', () => {}).destroy()).listen(8000)`;
const farm = execa('ip', ['netns', 'exec', 'farm', 'node', '-e', listen], { reject: false });

const rules = vipList.flatMap((vip) =>
  Array.from({ length: portsEach }, (_, p) => [`-A -t ${vip}:${8000 + p} -s wlc`, ...servers.map(({ address }) => `-a -t ${vip}:${8000 + p} -r ${address}:${8000 + p} -g -w 100`)]).flat(),
).join('\n'); // biome-ignore format: one rule after the other

const pools = Object.fromEntries(
  vipList.map((vip, i) => [
    `pool-${i + 1}`,
    {
      vip,
      ports: Object.fromEntries(
        Array.from({ length: portsEach }, (_, p) => [`${8000 + p}/tcp`, { policy: 'real-servers', scheduler: 'wlc' }]),
      ),
      realServers: Object.fromEntries(servers.map(({ name, address }) => [name, { address }])),
      // One check for all ports of a VIP on a real server.
      check: { type: 'tcp', port: 8000, intervalMs: 60_000, timeoutMs: 10_000 },
    },
  ]),
);

const controller = execa(
  'node',
  [
    '--max-semi-space-size=4',
    'dist/src/controller.js',
    '--interface',
    'eth0',
    '--manage-vip',
    'false',
    '--insecure',
    'true',
    '--probe-address',
    prober.address,
    '--state-dir',
    dir,
    '--log-level',
    'error',
  ],
  { stdio: ['ignore', 'inherit', 'inherit'], reject: false },
);
await waitFor(() => fetch(`${api}/healthz`).then(({ ok }) => ok, () => false), { what: 'the controller to answer', timeoutMs: 30_000 }); // biome-ignore format: short
const agent = execa(
  'unshare',
  [
    '--net',
    'node',
    'dist/agents/agent.js',
    '--controller',
    'http://203.0.113.1:7100',
    '--insecure',
    'true',
    '--name',
    'rs1',
    '--state-dir',
    join(dir, 'agent'),
    '--log-level',
    'error',
  ],
  { stdio: ['ignore', 'inherit', 'inherit'], reject: false },
);
await speak();

// At the end the controller goes first.
const speaking = setInterval(() => void speak().catch(() => {}), 1000);
const rows = { ipvsadm: [] as number[], controller: [] as number[], inService: [] as number[] };
for (let round = 1; round <= rounds; round++) {
  const order = round % 2 ? (['ipvsadm', 'controller'] as const) : (['controller', 'ipvsadm'] as const);
  for (const side of order) {
    await empty();
    const began = performance.now();
    if (side === 'ipvsadm') await execa('ipvsadm', ['-R'], { input: rules });
    else await call('PUT', '/v1/pools?waitMs=60000', { pools });
    rows[side].push(performance.now() - began);
    const counted = await count();
    const all = vips * portsEach * servers.length;
    if (counted.services !== vips * portsEach || counted.destinations !== all)
      throw new Error(`the kernel has ${counted.services} services and ${counted.destinations} destinations`);
    if (side === 'controller') {
      await waitFor(async () => (await count()).weighted === all, {
        what: 'every check',
        timeoutMs: 60_000,
        everyMs: 200,
      });
      rows.inService.push(performance.now() - began);
    } else if (counted.weighted !== all) throw new Error(`the kernel has ${counted.weighted} destinations with weight`);
    process.stdout.write(`round ${round}/${rounds}  ${side}: ${Math.round(rows[side].at(-1) ?? 0)} ms\n`);
    if (side === 'controller') await call('DELETE', '/v1/pools?waitMs=60000');
  }
}
await empty();
await call('PUT', '/v1/pools?waitMs=60000', { pools });
await new Promise((resolve) => setTimeout(resolve, 10_000)); // a while of ordinary work, so that the memory is the settled one
const statusMs = await readStatus();
const [proberPid] = readFileSync(`/proc/${controller.pid}/task/${controller.pid}/children`, 'utf8').trim().split(' ');
const memory = {
  controllerMB: residentMB(controller.pid),
  proberMB: residentMB(Number(proberPid)),
  agentMB: residentMB(agent.pid),
};

const ratio = median(rows.ipvsadm) / median(rows.controller);
const result = {
  what: `${vips * portsEach} services x ${servers.length} destinations from empty`,
  machine: { cpu: cpus()[0]?.model ?? '', kernel: (await execa('uname', ['-r'])).stdout, node: process.version },
  rounds,
  ipvsadmMs: { median: median(rows.ipvsadm), ...spread(rows.ipvsadm), all: rows.ipvsadm },
  controllerMs: { median: median(rows.controller), ...spread(rows.controller), all: rows.controller },
  inServiceMs: { median: median(rows.inService), ...spread(rows.inService), all: rows.inService },
  timesFaster: ratio,
  statusMs,
  memory,
};
writeFileSync(resultFile, `${JSON.stringify(result, null, 2)}\n`);
const tenths = (n: number) => `${n.toFixed(1)} ms`;
const ms = (n: number) => `${Math.round(n)} ms`;
const rowsOut = [
  [result.what, 'median', 'fastest', 'slowest'],
  ['ipvsadm -R', ms(result.ipvsadmMs.median), ms(result.ipvsadmMs.fastest), ms(result.ipvsadmMs.slowest)],
  [
    'PUT /v1/pools (validated, stored, synced, planned, applied)',
    ms(result.controllerMs.median),
    ms(result.controllerMs.fastest),
    ms(result.controllerMs.slowest),
  ],
  [
    'and until every real server is checked through its VIP and has its weight',
    ms(result.inServiceMs.median),
    ms(result.inServiceMs.fastest),
    ms(result.inServiceMs.slowest),
  ],
];
console.log(
  `\n${table(rowsOut)}\n\nthe controller is ${ratio.toFixed(2)} x as fast as ipvsadm -R (goal: more than 1)\nresident memory: controller with 10,000 destinations ${memory.controllerMB} MB (goal: under 150), its prober ${memory.proberMB} MB, agent ${memory.agentMB} MB (goal: under 90)\na read of the status: median ${tenths(statusMs.median)}, 99th percentile ${tenths(statusMs.p99)} (goal: under 20 ms)`,
);
writeFileSync(
  resultFile.replace(/json$/, 'md'),
  `${markdown(rowsOut)}\n\nThe controller is ${ratio.toFixed(1)} x as fast. Resident memory: controller with 10,000 destinations ${memory.controllerMB} MB, its prober ${memory.proberMB} MB, agent ${memory.agentMB} MB. A read of the status of all that takes ${tenths(statusMs.median)}, 99 of 100 less than ${tenths(statusMs.p99)}, on that one CPU that client, agents and kernel share. ${rounds} alternating rounds in one guest; Linux ${result.machine.kernel} (User Mode Linux, one CPU) on ${result.machine.cpu}, Node ${result.machine.node}.\n`,
);
clearInterval(speaking);
farm.kill('SIGTERM');
agent.kill('SIGTERM');
controller.kill('SIGTERM');
await Promise.all([agent, controller, farm]);
process.exitCode = ratio > 1 && memory.controllerMB < 150 && memory.agentMB < 90 ? 0 : 1;

/** A read each 50 ms for half a minute: the passes over the kernel go on beside it. */
async function readStatus(): Promise<{ median: number; fastest: number; p99: number }> {
  const times: number[] = [];
  for (let i = 0; i < 100 + 600; i++) {
    const began = performance.now();
    await (await fetch(`${api}/v1/status`)).text();
    if (i >= 100) times.push(performance.now() - began);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  times.sort((a, b) => a - b);
  return { median: median(times), fastest: times[0] ?? 0, p99: times[Math.ceil(times.length * 0.99) - 1] ?? 0 };
}

async function empty(): Promise<void> {
  await call('DELETE', '/v1/pools?waitMs=60000');
  await execa('ipvsadm', ['-C']);
}

/** So that every destination gets its weight, as with real agents: a report each. */
async function speak(): Promise<void> {
  for (const { name, address } of servers) {
    const report = {
      protocol: 1,
      machineId: name,
      bootId: name,
      revision: 0,
      addresses: [address],
      vips: Object.fromEntries(vipList.map((vip) => [vip, { present: true, suppressed: true }])),
    };
    await call('POST', `/v1/agents/${name}/report`, report);
  }
}

/** The kernel's own count, not ours. */
async function count(): Promise<{ services: number; destinations: number; weighted: number }> {
  const { stdout } = await execa('ipvsadm', ['-Sn']);
  const lines = stdout.split('\n');
  const destinations = lines.filter((line) => line.startsWith('-a'));
  return {
    services: lines.filter((line) => line.startsWith('-A')).length,
    destinations: destinations.length,
    weighted: destinations.filter((line) => line.includes('-w 100')).length,
  };
}

async function call(method: string, path: string, body?: unknown): Promise<unknown> {
  const init =
    body === undefined
      ? { method }
      : { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  const response = await fetch(`${api}${path}`, init);
  const answer = await response.text();
  if (response.status >= 300 || response.status === 202)
    throw new Error(`${method} ${path}: ${response.status} ${answer.slice(0, 500)}`);
  return JSON.parse(answer);
}

function residentMB(pid: number | undefined): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1024);
}
