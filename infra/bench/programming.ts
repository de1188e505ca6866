// In a guest: 1,000 services with 10 destinations each, from empty, by `ipvsadm -R` and by a PUT to the controller.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { waitFor } from '../lab/wait.ts';
import { makeFarm } from './farm.ts';
import { median, p99 } from './numbers.ts';
import { startBench } from './rounds.ts';

const settings = { vips: 100, portsEach: 10, realServers: 10 };
const ports = Array.from({ length: settings.portsEach }, (_, p) => 8000 + p);
const vips = Array.from({ length: settings.vips }, (_, i) => `198.51.100.${i + 1}`);
const services = vips.length * ports.length;
const destinations = services * settings.realServers;

const bench = startBench({
  sides: ['ipvsadm -R', 'dsr-controller'],
  measures: {
    programmed: { what: `${services} services x ${settings.realServers} destinations from empty`, unit: 'ms' },
    inService: { what: 'and until each real server is checked through its VIP and has its weight', unit: 'ms' },
    controllerMB: { what: `resident memory of the controller with ${destinations} destinations`, unit: 'MB' },
    proberMB: { what: 'of its prober', unit: 'MB' },
    agentMB: { what: 'of an agent', unit: 'MB' },
    statusMs: { what: 'a read of the status of all that, median', unit: 'ms' },
    statusP99Ms: { what: '99 of 100 reads take less than', unit: 'ms' },
  },
});

const farm = await makeFarm({ ...settings, vips, ports: [8000] });
const { call, realServers } = farm;

const rules = vips.flatMap((vip) =>
  ports.flatMap((port) => [`-A -t ${vip}:${port} -s wlc`, ...realServers.map(({ address }) => `-a -t ${vip}:${port} -r ${address}:${port} -g -w 100`)]),
).join('\n'); // biome-ignore format: one rule after the other
const pools = Object.fromEntries(
  vips.map((vip, i) => [
    `pool-${i + 1}`,
    {
      vip,
      ports: Object.fromEntries(ports.map((port) => [`${port}/tcp`, { policy: 'real-servers', scheduler: 'wlc' }])),
      realServers: Object.fromEntries(realServers.map(({ name, address }) => [name, { address }])),
      // One check for all ports of a VIP on a real server.
      check: { type: 'tcp', port: 8000, intervalMs: 60_000, timeoutMs: 10_000 },
    },
  ]),
);

const agentFlags = ['--controller', 'http://203.0.113.1:7100', '--insecure', 'true', '--name', 'rs1', '--state-dir', join(farm.dir, 'agent'), '--log-level', 'error']; // biome-ignore format: a command line
const agent = farm.start('agent', ['unshare', '--net', 'node', 'dist/agents/agent.js', ...agentFlags]);
await speak();
// At the end the controller goes first.
const speaking = setInterval(() => void speak().catch(() => {}), 1000);

await bench.alternate(async (side) => {
  await empty();
  const began = performance.now();
  if (side === 'ipvsadm -R') await execa('ipvsadm', ['-R'], { input: rules });
  else await call('PUT', '/v1/pools?waitMs=60000', { pools });
  const programmed = performance.now() - began;
  const counted = await count();
  if (counted.services !== services || counted.destinations !== destinations)
    throw new Error(`the kernel has ${counted.services} services and ${counted.destinations} destinations`);
  if (side === 'ipvsadm -R') {
    if (counted.weighted !== destinations) throw new Error(`${counted.weighted} destinations have a weight`);
    return { programmed };
  }
  const weighted = async () => (await count()).weighted === destinations;
  await waitFor(weighted, { what: 'every check', timeoutMs: 60_000, everyMs: 200 });
  const inService = performance.now() - began;
  await call('DELETE', '/v1/pools?waitMs=60000');
  return { programmed, inService };
});

await empty();
await call('PUT', '/v1/pools?waitMs=60000', { pools });
await new Promise((resolve) => setTimeout(resolve, 10_000)); // a while of ordinary work, so that the memory is the settled one
const reads = await readStatus();
const { pid } = farm.controller;
const [prober] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
const memory = { controllerMB: residentMB(pid), proberMB: residentMB(Number(prober)), agentMB: residentMB(agent.pid) };
bench.record('dsr-controller', { ...memory, statusMs: median(reads), statusP99Ms: p99(reads) });

const ratio = (bench.median('programmed', 'ipvsadm -R') ?? 0) / (bench.median('programmed', 'dsr-controller') ?? 1);
await bench.finish({
  settings,
  programs: ['ipvsadm'],
  about: `The PUT is validated, stored, synced, planned and applied; client, controller, its prober, an agent and the kernel share one CPU. The sides alternate.`,
  verdict: [
    { what: 'the controller is faster than ipvsadm -R', goal: 'more than 1 x', measured: `${ratio.toFixed(2)} x`, met: ratio > 1 }, // biome-ignore format: short
    { what: "the controller's memory", goal: 'under 150 MB', measured: `${memory.controllerMB} MB`, met: memory.controllerMB < 150 }, // biome-ignore format: short
    { what: "an agent's memory", goal: 'under 90 MB', measured: `${memory.agentMB} MB`, met: memory.agentMB < 90 },
  ],
});
clearInterval(speaking);
await farm.end();

/** A read each 50 ms for half a minute: the passes over the kernel go on beside it. */
async function readStatus(): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < 100 + 600; i++) {
    const began = performance.now();
    await call('GET', '/v1/status');
    if (i >= 100) times.push(performance.now() - began);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return times;
}

async function empty(): Promise<void> {
  await call('DELETE', '/v1/pools?waitMs=60000');
  await execa('ipvsadm', ['-C']);
}

/** So that every destination gets its weight, as with real agents: a report each. */
async function speak(): Promise<void> {
  for (const { name, address } of realServers) {
    const report = {
      protocol: 1,
      machineId: name,
      bootId: name,
      revision: 0,
      addresses: [address],
      vips: Object.fromEntries(vips.map((vip) => [vip, { present: true, suppressed: true }])),
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

function residentMB(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1024);
}
