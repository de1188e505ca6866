import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import koffi from 'koffi';
import t, { type Test } from 'tap';
import type { Host, Program } from '../../infra/lab/host.ts';
import { type Lab, makeLab, vip, vip6 } from '../../infra/lab/hosts.ts';
import { type WaitOptions, waitFor as wait } from '../../infra/lab/wait.ts';
import type { Prober, ProberOptions } from '../../src/check/probe.ts';
import { checkSchema } from '../../src/check-schema.ts';
import type { Finding } from '../../src/core/health.ts';
import { proberAddresses } from '../../src/core/prober-address.ts';
import { type Target, targetKey } from '../../src/core/targets.ts';
import { typescript } from '../typescript.ts';

// As it is installed: its process starts quicker than through a loader, which must not be passed on to it either.
const built = join(import.meta.dirname, '../../dist/src/check/prober.js');
const { startProber } = (await import(built)) as typeof import('../../src/check/prober.ts');
process.execArgv.length = 0;

/** Patient, since a busy machine starts a process in many seconds. */
const waitFor = <T>(condition: () => Promise<T> | T, options: WaitOptions) =>
  wait(condition, { timeoutMs: 90_000, ...options });

const vipB = '192.0.2.101';
const check = checkSchema.parse({ type: 'tcp', intervalMs: 300, timeoutMs: 500, rise: 1, fall: 2 });
const target = (address: string, to = vip, port = 80): Target => ({ vip: to, address, port, protocol: 'tcp', check });

/** Addresses that nobody has. */
const many = Array.from({ length: 50 }, (_, i) => target(`192.0.2.${i + 130}`));

/** What a prober told, by what may be asked of it. */
interface Watched {
  prober: Prober;
  problems: (string | undefined)[];
  /** The newest finding of a target. */
  of: (target: Target) => Finding['health'] | undefined;
  /** Waits until a target's health is like this. */
  until: (target: Target, like: Partial<Finding['health']> & { says?: RegExp }) => Promise<Finding['health']>;
}

function watch(t: Test, options: Partial<ProberOptions> = {}): Watched {
  const found = new Map<string, Finding['health']>();
  const problems: (string | undefined)[] = [];
  const prober = startProber({
    interface: 'eth0',
    link: 'ipvlan',
    addresses: [],
    programs: {},
    log: { info: () => {}, warn: (_, message) => t.comment(message) },
    ...options,
  });
  prober.onFindings((findings) => {
    for (const { key, health } of findings) found.set(key, health);
  });
  prober.onProblem(() => problems.push(prober.problem()));
  t.teardown(() => prober.stop());
  const of = (target: Target) => found.get(targetKey(target));
  return {
    prober,
    problems,
    of,
    until: (target, { says, ...like }) =>
      waitFor(
        () => {
          const health = of(target);
          const fits = health && Object.entries(like).every(([name, value]) => health[name as never] === value);
          return fits && (says?.test(health.words) ?? true) ? health : undefined;
        },
        {
          what: `${target.address} to be ${JSON.stringify(like)} ${says ?? ''}`,
          explain: () => JSON.stringify({ found: [...found], problem: prober.problem() }),
        },
      ),
  };
}

/** Puts this process into a network namespace; what it starts from now on is there too. */
async function enter(path: string): Promise<void> {
  const setns = koffi.load(null).func('int setns(int fd, int type)');
  const file = await open(path);
  if (setns(file.fd, 0) !== 0) throw new Error(`setns: errno ${koffi.errno()}`);
  await file.close();
}

const shell = (host: Host, script: string) => host.exec(['sh', '-ec', script]);

/** Processes of the prober that run, by pid. */
const probers = (): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return /prober-process/.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
      } catch {
        return false;
      }
    })
    .map(Number);

const server = "require('net').createServer((s) => s.on('error', () => {})).listen({ port: 80, host: '::' })";
const serve = async (host: Host): Promise<Program> => {
  const program = host.spawn('server', [process.execPath, '-e', server]);
  await waitFor(async () => (await host.exec(['ss', '-ltn'])).stdout.includes('*:80 '), { what: 'the server' });
  return program;
};

/** The command line of a prober without a controller. */
const program = [
  process.execPath,
  ...typescript,
  join(import.meta.dirname, 'prober-host.ts'),
  JSON.stringify({
    options: { interface: 'eth0', link: 'ipvlan', addresses: [], programs: {} },
    targets: [target('192.0.2.11')],
  }),
];

t.setTimeout(600_000);
if (process.env.DSR_LAB !== '1') throw new Error('this needs a kernel of its own: npm test -- test/check/prober');
const lab: Lab = await makeLab({ realServers: 2, mbit: 0 });
const { director } = lab;
const [rs1, rs2] = lab.realServers as [Host, Host];
const own = proberAddresses(director.mac, []);
for (const host of [rs1, rs2])
  await shell(
    host,
    `for dev in all eth0; do sysctl -qw net.ipv4.conf.$dev.arp_ignore=1 net.ipv4.conf.$dev.arp_announce=2; done
       ip addr add ${vip}/32 dev lo; ip addr add ${vipB}/32 dev lo; ip addr add ${vip6}/128 dev lo nodad
       ip route add ${own.ipv4.address}/32 dev eth0; ip -6 route add ${own.ipv6.address}/128 dev eth0`,
  );
// As on a director: it has the VIPs itself.
await shell(director, `ip addr add ${vip}/32 dev eth0; ip addr add ${vip6}/128 dev eth0 nodad`);
const servers = [await serve(rs1), await serve(rs2)];
await enter(director.netnsPath);
t.teardown(async () => {
  for (const one of servers) await one.end('SIGKILL');
  // The lab ends whatever is in its hosts.
  await enter('/proc/1/ns/net');
  await lab.close();
});

t.test('both families with addresses of its own, and two VIPs', async (t) => {
  const { prober, until, problems } = watch(t);
  const targets = [rs1, rs2].flatMap(({ ip, ip6 }) => [target(ip), target(ip, vipB), target(ip6, vip6)]);
  prober.set(targets);
  for (const one of targets) await until(one, { verdict: 'up' });
  t.equal(prober.problem(), undefined);
  t.strictSame(problems.filter(Boolean), []);
  t.equal(probers().length, 1);
  await prober.stop();
  t.strictSame(probers(), []);
});

t.test('what fails is told apart, and each real server for itself', async (t) => {
  const { prober, until, of } = watch(t);
  const [one, two, two6] = [target(rs1.ip), target(rs2.ip), target(rs2.ip6, vip6)];
  prober.set([one, two, two6]);
  for (const each of [one, two, two6]) await until(each, { verdict: 'up' });

  await servers[1]?.end('SIGKILL');
  await until(two, { verdict: 'down', hard: true, says: /refused/ });
  await until(two6, { verdict: 'down', hard: true });
  servers[1] = await serve(rs2);
  await until(two, { verdict: 'up', hard: false });

  await shell(rs2, `ip addr del ${vip}/32 dev lo; ip addr del ${vip6}/128 dev lo`);
  const missing = await until(two, { verdict: 'down', hard: false });
  t.equal(
    missing.words,
    `${vip}:80 does not answer in 500 ms although ${rs2.ip} answers ARP: the VIP is missing on that server, a firewall drops, or it has no route back to the prober's address ${own.ipv4.address}`,
  );
  await until(two6, { verdict: 'down', hard: false, says: /answers neighbor solicitations: the VIP is missing/ });
  await shell(rs2, `ip addr add ${vip}/32 dev lo; ip addr add ${vip6}/128 dev lo nodad`);
  await until(two, { verdict: 'up' });
  await until(two6, { verdict: 'up' });

  await rs2.cable('down');
  await until(two, { verdict: 'down', hard: true, says: /192\.0\.2\.12 does not answer ARP: the host is down/ });
  await until(two6, { verdict: 'down', hard: true, says: /does not answer neighbor solicitations/ });
  await rs2.cable('up');
  await until(two, { verdict: 'up' });
  await until(two6, { verdict: 'up' });
  t.match(of(one), { verdict: 'up' }, 'the other one is as it was');
});

t.test('a cable out of the director is no fault of the real servers', async (t) => {
  const { prober, until, of } = watch(t);
  // The kernel may tell of a carrier a second late (net/core/link_watch.c).
  const one = { ...target(rs1.ip), check: { ...check, fall: 5 } };
  prober.set([one]);
  await until(one, { verdict: 'up' });
  await director.cable('down');
  await waitFor(() => /eth0 has no carrier/.test(prober.problem() ?? ''), { what: 'the problem' });
  // Three times as long as it takes to count as down.
  const beats = performance.now() + 3 * 5 * 500;
  await waitFor(() => performance.now() > beats, { what: 'the time' });
  t.match(of(one), { verdict: 'up' });
  await director.cable('up');
  await waitFor(() => prober.problem() === undefined, { what: 'no problem' });
  t.match(of(one), { verdict: 'up' });
});

t.test('a macvlan, and an address that is configured', async (t) => {
  const { prober, until } = watch(t, { link: 'macvlan', addresses: [{ address: '192.0.2.250', prefix: 24 }] });
  prober.set([target(rs1.ip), target(rs2.ip6, vip6)]);
  await until(target(rs1.ip), { verdict: 'up' });
  await until(target(rs2.ip6, vip6), { verdict: 'up' });
  t.match((await rs1.exec(['ip', 'neigh', 'show', '192.0.2.250'])).stdout, /lladdr 0?[0-9a-f]?[26ae]:/);
});

t.test('a link of the other kind on the interface is told, with the setting', async (t) => {
  const made = () => shell(director, 'ip link add link eth0 name other type macvlan mode bridge');
  await waitFor(made, { what: 'the links of probers before to be gone' });
  t.teardown(() => shell(director, 'ip link del other || true'));
  const { prober, until } = watch(t);
  prober.set([target(rs1.ip)]);
  await waitFor(() => /set probe\.link to "macvlan"/.test(prober.problem() ?? ''), { what: 'the problem' });
  await shell(director, 'ip link del other');
  await until(target(rs1.ip), { verdict: 'up' });
  t.equal(prober.problem(), undefined);
});

t.test('a prober that is killed is started again, and knows what was', async (t) => {
  const { prober, until, problems, of } = watch(t);
  prober.set([target(rs1.ip)]);
  await until(target(rs1.ip), { verdict: 'up' });
  process.kill(probers()[0] ?? 0, 'SIGKILL');
  await waitFor(() => problems.length >= 2 && prober.problem() === undefined, { what: 'it to be back' });
  t.match(problems[0], /ended by signal SIGKILL/);
  t.match(of(target(rs1.ip)), { verdict: 'up' });
  await servers[0]?.end('SIGKILL');
  await until(target(rs1.ip), { verdict: 'down' });
  servers[0] = await serve(rs1);
  await until(target(rs1.ip), { verdict: 'up' });
});

t.test('one that says nothing is told, and replaced', async (t) => {
  const { prober, until, problems } = watch(t);
  prober.set([target(rs1.ip)]);
  await until(target(rs1.ip), { verdict: 'up' });
  const [pid = 0] = probers();
  process.kill(pid, 'SIGSTOP');
  await waitFor(() => /said nothing for more than 5 s/.test(problems.at(-1) ?? ''), {
    what: 'the problem',
  });
  await waitFor(() => prober.problem() === undefined && !probers().includes(pid), {
    what: 'another',
  });
});

t.test('an interface that goes and comes back is waited for', async (t) => {
  const { prober, until } = watch(t);
  prober.set([target(rs1.ip)]);
  await until(target(rs1.ip), { verdict: 'up' });
  await shell(director, 'ip link del eth0');
  await waitFor(() => /no interface "eth0"/.test(prober.problem() ?? ''), { what: 'the problem' });
  await shell(
    director,
    `ip link add eth0 address ${director.mac} type veth peer name director netns switch
       ip -n switch link set director master lan up; ip link set eth0 up; ip addr add ${director.ip}/24 dev eth0`,
  );
  await servers[0]?.end('SIGKILL');
  await until(target(rs1.ip), { verdict: 'down' });
  servers[0] = await serve(rs1);
  await until(target(rs1.ip), { verdict: 'up' });
  t.equal(prober.problem(), undefined);
});

t.test('targets come and go', async (t) => {
  const { prober, until, of } = watch(t);
  prober.set([target(rs1.ip)]);
  await until(target(rs1.ip), { verdict: 'up' });
  prober.set([target(rs2.ip)]);
  await until(target(rs2.ip), { verdict: 'up' });
  prober.set([target(rs2.ip), target(rs1.ip, vipB), ...many]);
  await until(target(rs1.ip, vipB), { verdict: 'up' });
  for (const one of many) await until(one, { verdict: 'down', hard: true });
  t.equal(of(target(rs2.ip))?.verdict, 'up');
  const [pid = 0] = probers();
  const rules = async () =>
    (await director.exec(['nsenter', `--net=/proc/${pid}/ns/net`, 'ip', 'rule'])).stdout.match(/fwmark/g)?.length;
  t.equal(await rules(), 2 + many.length);
  prober.set([target(rs2.ip)]);
  await waitFor(async () => (await rules()) === 1, { what: 'the other rules to go' });
});

t.test('two probers on interfaces of their own', async (t) => {
  await shell(director, 'ip link add eth1 type veth peer name second netns switch; ip link set eth1 up');
  await shell(director, 'ip -n switch link set second master lan up');
  const mac = (await shell(director, 'cat /sys/class/net/eth1/address')).stdout;
  const { address } = proberAddresses(mac, []).ipv4;
  await shell(rs1, `ip route add ${address}/32 dev eth0`);
  const [a, b] = [watch(t), watch(t, { interface: 'eth1' })];
  for (const { prober } of [a, b]) prober.set([target(rs1.ip)]);
  await a.until(target(rs1.ip), { verdict: 'up' });
  await b.until(target(rs1.ip), { verdict: 'up' });
});

for (const [what, command, words] of [
  ['a missing privilege', ['setpriv', '--bounding-set=-sys_admin', '--inh-caps=-sys_admin'], /CAP_SYS_ADMIN/],
  ['a missing program', ['env', 'PATH=/nowhere'], /unshare.*is missing: install util-linux/],
] as const)
  t.test(`${what} is told`, async (t) => {
    const host = director.spawn('refused', [...command, ...program]);
    t.teardown(() => host.end('SIGKILL'));
    await waitFor(async () => words.test(await host.tail()), { what: 'the words', explain: host.tail });
  });

t.test('a controller that is killed leaves no process and no link', async (t) => {
  const host = director.spawn('prober-host', ['env', '-u', 'NODE_OPTIONS', ...program]);
  await waitFor(async () => /findings.*"up"/.test(await host.tail()), {
    what: 'a finding',
    explain: host.tail,
  });
  const [pid = 0] = probers();
  t.not(readlinkSync(`/proc/${pid}/ns/net`), readlinkSync('/proc/self/ns/net'));
  // Bit 21 is CAP_SYS_ADMIN (linux/capability.h).
  const sets = readFileSync(`/proc/${pid}/status`, 'utf8').matchAll(/^Cap(?:Inh|Prm|Eff|Bnd|Amb):\s+(\w+)$/gm);
  for (const [line, bits] of sets) t.equal(BigInt(`0x${bits}`) & (1n << 21n), 0n, line);
  await host.end('SIGKILL');
  await waitFor(() => probers().length === 0, { what: 'its process to end' });
  const free = () => shell(director, 'ip link add link eth0 name other type macvlan mode bridge');
  await waitFor(free, { what: 'the link to be gone' });
  await shell(director, 'ip link del other');
});
