// In a guest: one director, two real servers, and three balancers on it at once, each with a VIP of its own: the
// controller, keepalived and ldirectord. A real server fails; how long does each still send it new connections?
import { writeFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import type { Host } from '../lab/host.ts';
import { makeLab, vip } from '../lab/hosts.ts';
import { lookout } from '../lab/lookout.ts';
import { startAgent, startController, startImages } from '../lab/parts.ts';
import { waitFor } from '../lab/wait.ts';
import { markdown, median, table } from './numbers.ts';

const [resultFile = '', roundsText = '10'] = process.argv.slice(2);
const rounds = Number(roundsText);
/** The least that ldirectord can do is one second. */
const settings = { intervalMs: 200, timeoutMs: 150, rise: 2, fall: 2 };
const vips = { controller: vip, keepalived: '192.0.2.101', ldirectord: '192.0.2.102' };
type Side = keyof typeof vips;
const sides = Object.keys(vips) as Side[];
/** A balancer that has not noticed by then does not notice. */
const patienceMs = 8000;

const lab = await makeLab({ realServers: 2, mbit: 0 });
const { director } = lab;
const [rs1, rs2] = lab.realServers as [Host, Host];
for (const rs of [rs1, rs2])
  for (const address of [vips.keepalived, vips.ldirectord])
    await rs.exec(['sh', '-ec', `sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2; ip addr add ${address}/32 dev lo`]); // biome-ignore format: one command
for (const address of [vips.keepalived, vips.ldirectord])
  await director.exec(['ip', 'addr', 'add', `${address}/32`, 'dev', 'eth0']);
let images = await startImages(rs1, { count: 1, bytes: 2000 });
await startImages(rs2, { count: 1, bytes: 2000 });

const watcher = await lookout(director);
await startController(director);
let agent = await startAgent(rs1, director);
await startAgent(rs2, director);
await put();
await startKeepalived();
await startLdirectord();
await waitFor(async () => (await Promise.all(sides.map((side) => serves(side)))).every(Boolean), {
  what: 'all three to send to rs1',
  timeoutMs: 60_000,
});

interface Scenario {
  name: string;
  /** Resolves as soon as it has happened. */
  fail: () => Promise<unknown>;
  mend: () => Promise<unknown>;
}

const scenarios: Scenario[] = [
  {
    name: 'web server killed',
    fail: () => images.end('SIGKILL'),
    mend: async () => {
      images = await startImages(rs1, { count: 1, bytes: 2000 });
    },
  },
  {
    name: 'web server frozen (SIGSTOP)',
    fail: async () => process.kill(images.pid, 'SIGSTOP'),
    mend: async () => process.kill(images.pid, 'SIGCONT'),
  },
  { name: 'cable pulled', fail: () => rs1.cable('down'), mend: () => rs1.cable('up') },
  {
    name: 'VIP gone, nobody there to mend it',
    fail: async () => {
      await agent.end('SIGKILL');
      await rs1.exec(['ip', '-batch', '-'], {
        input: sides.map((side) => `addr del ${vips[side]}/32 dev lo`).join('\n'),
      });
    },
    mend: async () => {
      await rs1.exec(['ip', '-batch', '-'], {
        input: [vips.keepalived, vips.ldirectord].map((address) => `addr add ${address}/32 dev lo`).join('\n'),
      });
      agent = await startAgent(rs1, director);
    },
  },
];

type Times = Record<Side, (number | null)[]>;
const none = (): Times => ({ controller: [], keepalived: [], ldirectord: [] });
const results = scenarios.map(({ name }) => ({ name, out: none(), back: none() }));
for (let round = 1; round <= rounds; round++)
  for (const [index, { name, fail, mend }] of scenarios.entries()) {
    const result = results[index];
    if (!result) continue;
    const out = await follow(fail, false);
    const back = await follow(mend, true);
    for (const side of sides) {
      result.out[side].push(out[side]);
      // Who never noticed has nothing to come back from.
      if (out[side] !== null) result.back[side].push(back[side]);
    }
    const words = sides.map((side) => `${side} ${time(out[side])}`).join(', ');
    process.stdout.write(`round ${round}/${rounds}  ${name}: ${words}\n`);
  }

const middle = (times: readonly (number | null)[]) => {
  const known = times.filter((ms) => ms !== null);
  return known.length * 2 > times.length ? median(times.map((ms) => ms ?? patienceMs)) : null;
};
const medians = results.map(({ name, out, back }) => ({
  name,
  outMs: Object.fromEntries(sides.map((side) => [side, middle(out[side])])) as Record<Side, number | null>,
  backMs: Object.fromEntries(sides.map((side) => [side, middle(back[side])])) as Record<Side, number | null>,
}));
const machine = { cpu: cpus()[0]?.model ?? '', kernel: (await execa('uname', ['-r'])).stdout, node: process.version };
writeFileSync(resultFile, `${JSON.stringify({ settings, machine, rounds, medians, all: results }, null, 2)}\n`);
const names = ['dsr-controller', `keepalived ${await keepalivedVersion()}`, 'ldirectord'];
const rows = [
  ['new connections still sent to it, median', ...names],
  ...medians.map(({ name, outMs }) => [name, ...sides.map((side) => time(outMs[side]))]),
  // Where an agent has to start anew first there is nothing to compare.
  ...medians
    .slice(0, -1)
    .map(({ name, backMs }) => [`back after: ${name}`, ...sides.map((side) => time(backMs[side]))]),
];
console.log(`\n${table(rows)}`);
const facts = `An HTTP check each ${settings.intervalMs} ms, time limit ${settings.timeoutMs} ms, out after ${settings.fall} failures; ldirectord's least is 1 s. All three at once on one director, each with a VIP of its own, ${rounds} rounds; Linux ${machine.kernel} (User Mode Linux, one CPU) on ${machine.cpu}, Node ${machine.node}.`;
writeFileSync(resultFile.replace(/json$/, 'md'), `${markdown(rows)}\n\n${facts}\n`);
await lab.close();
const killed = medians[0]?.outMs;
// Both look every interval, each with a phase of its own: the median of ten rounds strays by a quarter of it.
const chanceMs = settings.intervalMs / 4;
const fine =
  killed !== undefined &&
  killed.controller !== null &&
  killed.controller <= 600 &&
  medians.every(
    ({ outMs: { controller, keepalived } }) =>
      controller !== null && controller <= (keepalived ?? patienceMs) + chanceMs,
  );
console.log(
  fine
    ? 'out within 600 ms of its death, and nowhere slower than keepalived by more than chance (50 ms)'
    : 'NOT as it should be: out within 600 ms of its death, and nowhere slower than keepalived by more than chance (50 ms)',
);
process.exitCode = fine ? 0 : 1;

function time(ms: number | null | undefined): string {
  if (ms === undefined) return '';
  return ms === null ? 'never noticed' : `${Math.round(ms)} ms`;
}

/** Whether a balancer sends new connections to rs1, by what the kernel lists. */
async function serves(side: Side): Promise<boolean> {
  return servesIn(await director.exec(['ipvsadm', '-Sn']).then(({ stdout }) => stdout), side);
}

function servesIn(rules: string, side: Side): boolean {
  const entry = rules.split('\n').find((line) => line.startsWith(`-a -t ${vips[side]}:80 -r ${rs1.ip}:80 `));
  return entry !== undefined && !/ -w 0$/.test(entry);
}

/** How long after `act` each balancer's entry for rs1 was as `wanted`; null: not in time. */
async function follow(act: () => Promise<unknown>, wanted: boolean): Promise<Record<Side, number | null>> {
  const found: Record<Side, number | null> = { controller: null, keepalived: null, ldirectord: null };
  await act();
  const began = performance.now();
  const left = new Set(sides);
  const patience = wanted ? 30_000 : patienceMs;
  while (left.size > 0 && performance.now() - began < patience) {
    const text = await readFile(`/proc/${watcher}/net/ip_vs`, 'utf8');
    for (const side of left)
      if (weighs(text, side) === wanted) {
        found[side] = performance.now() - began;
        left.delete(side);
      }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  // What came may go again at once.
  await waitFor(async () => (await Promise.all(sides.map((side) => serves(side)))).every((is, i) => is === (found[sides[i] ?? 'controller'] === null ? is : wanted)), { what: 'the balancers to come to rest', timeoutMs: 30_000 }); // biome-ignore format: one condition
  return found;
}

/** The same as {@link serves}, of /proc/net/ip_vs, which is quick to read. */
function weighs(text: string, side: Side): boolean {
  const hex = (address: string) =>
    address.split('.').map((part) => Number(part).toString(16).padStart(2, '0')).join('').toUpperCase(); // biome-ignore format: one chain
  const service = text.split(/^(?=TCP|UDP|FWM)/m).find((part) => part.startsWith(`TCP  ${hex(vips[side])}:0050`));
  const entry = new RegExp(`-> ${hex(rs1.ip)}:0050 +\\S+ +(\\d+)`).exec(service ?? '');
  return entry !== null && entry[1] !== '0';
}

async function put(): Promise<void> {
  const pool = {
    vip,
    ports: { '80/tcp': { policy: 'real-servers' } },
    realServers: { rs1: { address: rs1.ip }, rs2: { address: rs2.ip } },
    check: { type: 'http', path: '/healthz', ...settings, jitterPercent: 0 },
  };
  const argv = ['curl', '-sS', '--fail-with-body', '-X', 'PUT', '-H', 'content-type: application/json', '-d', '@-'];
  await director.exec([...argv, `http://${director.ip}:7100/v1/pools/web`], { input: JSON.stringify(pool) });
}

async function startKeepalived(): Promise<void> {
  const file = join(director.dir, 'keepalived.conf');
  const [delay, limit] = [settings.intervalMs / 1000, settings.timeoutMs / 1000];
  const server = ({ ip }: Host) => `  real_server ${ip} 80 {
    weight 100
    HTTP_GET {
      url {
        path /healthz
        status_code 200
      }
      connect_timeout ${limit}
      retry ${settings.fall - 1}
      delay_before_retry ${delay}
    }
  }`;
  await writeFile(
    file,
    `global_defs {
  checker_log_all_failures true
}
virtual_server ${vips.keepalived} 80 {
  delay_loop ${delay}
  lb_algo wlc
  lb_kind DR
  protocol TCP
  inhibit_on_failure
${server(rs1)}
${server(rs2)}
}
`,
  );
  const pid = (name: string) => [`--${name}`, join(director.dir, `keepalived-${name}`)];
  director.spawn('keepalived', [
    ...['keepalived', '--dont-fork', '--log-console', '--check', '--use-file', file],
    ...[...pid('pid'), ...pid('checkers_pid')],
  ]);
}

async function startLdirectord(): Promise<void> {
  const file = join(director.dir, 'ldirectord.cf');
  await writeFile(join(director.dir, 'www-healthz'), '');
  await writeFile(
    file,
    `checkinterval=1
checktimeout=1
negotiatetimeout=1
failurecount=${settings.fall}
quiescent=yes
fork=yes
virtual=${vips.ldirectord}:80
\treal=${rs1.ip}:80 gate 100
\treal=${rs2.ip}:80 gate 100
\tservice=http
\trequest="healthz"
\treceive="ok"
\tscheduler=wlc
\tprotocol=tcp
\tchecktype=negotiate
`,
  );
  director.spawn('ldirectord', ['/usr/sbin/ldirectord', '-d', file, 'start']);
}

async function keepalivedVersion(): Promise<string> {
  const { stderr, stdout } = await execa('keepalived', ['--version']);
  return /v(\d[\d.]*)/.exec(stderr + stdout)?.[1] ?? '';
}
