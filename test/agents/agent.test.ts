import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { programs, start } from '../api/run.ts';
import { type Controller, folder, patienceMs, startController, vip, webPool } from '../api/site.ts';
import { typescript } from '../typescript.ts';

// The whole process, on this machine's kernel: this file starts itself again in a network namespace of its own, which is
// the director's, and gives the real server another one, with a cable between them. Nothing outside is touched.
const inside = process.env.TEST_AGENT_INSIDE === '1';
const tools = ['unshare', 'nsenter', 'ip'].every((tool) => spawnSync(tool, ['--version']).error === undefined);
const allowed = tools && spawnSync('unshare', ['--net', 'ip', 'link', 'add', 'a0', 'type', 'veth']).status === 0;

const sh = (command: string, ...args: string[]) => execFileSync(command, args, { encoding: 'utf8' });

/** A network namespace with one card, rs0, cabled to dir0 here. */
async function createHost() {
  const holder = spawn('unshare', ['--net', 'sh', '-c', 'echo ready; read _'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  await once(holder.stdout, 'data');
  const enter = ['nsenter', `--net=/proc/${holder.pid}/ns/net`];
  const inHost = (...args: string[]) => sh(enter[0] ?? '', ...enter.slice(1), ...args);
  sh('ip', 'link', 'set', 'lo', 'up');
  sh('ip', 'link', 'add', 'dir0', 'type', 'veth', 'peer', 'name', 'rs0');
  sh('ip', 'link', 'set', 'rs0', 'netns', String(holder.pid));
  sh('ip', 'addr', 'add', '192.0.2.1/24', 'dev', 'dir0');
  sh('ip', 'link', 'set', 'dir0', 'up');
  inHost('sh', '-c', 'echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6');
  inHost('ip', 'link', 'set', 'lo', 'up');
  inHost('ip', 'addr', 'add', '192.0.2.11/24', 'dev', 'rs0');
  inHost('ip', 'link', 'set', 'rs0', 'up');
  // The server that is balanced: it listens on all addresses.
  const listen = "require('node:net').createServer().listen(80, '0.0.0.0', () => console.log('ready'))";
  const [enterCommand = '', ...enterArgs] = enter;
  const server = spawn(enterCommand, [...enterArgs, process.execPath, '-e', listen], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await once(server.stdout, 'data');
  const look = () =>
    `${inHost('ip', '-o', 'addr', 'show')}\n${inHost('sh', '-c', 'grep . /proc/sys/net/ipv4/conf/*/arp_*')}`;
  return {
    enter,
    inHost,
    look,
    hasVip: () => inHost('ip', '-o', 'addr', 'show', 'dev', 'lo').includes(`${vip}/32`),
    stop: () => {
      server.kill('SIGKILL');
      holder.kill('SIGKILL');
    },
  };
}

const weight = (c: Controller) => c.kernel.world.services.get(`${vip}:80/tcp`)?.destinations[0]?.weight;

/** Looks again and again: what another process does to the kernel tells nobody here. */
async function eventually(condition: () => boolean, what: string): Promise<number> {
  const began = performance.now();
  while (!condition()) {
    if (performance.now() - began > patienceMs) throw new Error(`not within ${patienceMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return performance.now() - began;
}

async function whole(): Promise<void> {
  const host = await createHost();
  t.teardown(host.stop);
  const c = await startController(t);
  await c.api.listen({ host: '192.0.2.1', port: 0 });
  const { port } = c.api.server.address() as { port: number };
  const dir = folder(t);
  const args = ['--controller', `http://192.0.2.1:${port}`, '--insecure', 'true', '--name', 'rs1', '--state-dir', dir];
  const agent = (...more: string[]) => {
    const child = start(programs.agent, [...args, ...more], {}, host.enter);
    const exit = once(child, 'exit').then(([code, signal]) => code ?? signal);
    t.teardown(() => child.kill('SIGKILL'));
    return { child, exit, stdout: text(child.stdout), stderr: text(child.stderr) };
  };
  const before = host.look();
  const { realServers, ...rest } = webPool();
  await c.call('PUT', '/v1/pools/web?waitMs=5000', { ...rest, realServers: { rs1: realServers.rs1 } });

  await t.test('doctor looks this host over before it joins, mends what is safe, and leaves no trace', async (t) => {
    host.inHost('sh', '-c', 'echo 0 > /proc/sys/net/ipv4/tcp_syncookies');
    const sick = agent('doctor');
    t.equal(await sick.exit, 1, await sick.stderr);
    t.match(await sick.stdout, /^\[ ok \] controller: .*192\.0\.2\.1, on this host's own network$/m);
    t.match(await sick.stdout, /^\[BAD \] syn-flood: net\.ipv4\.tcp_syncookies is 0$/m);
    const mended = agent('doctor', '--fix');
    t.equal(await mended.exit, 0, await mended.stderr);
    t.match(await mended.stdout, /mended: sysctl -w net\.ipv4\.tcp_syncookies=1/);
    t.equal(host.inHost('cat', '/proc/sys/net/ipv4/tcp_syncookies'), '1\n');
    t.equal(host.look(), before);
    t.strictSame(readdirSync(dir), []);
  });

  await t.test('it puts the VIP on lo behind the suppression, and attests', async (t) => {
    const first = agent();
    await c.when(() => weight(c) === 100);
    t.ok(host.hasVip());
    t.match(host.look(), /conf\/rs0\/arp_ignore:1\n/);
    t.match(host.look(), /conf\/all\/arp_announce:2\n/);
    const { report } = c.agents.all().get('rs1') ?? {};
    t.match(report, { addresses: ['192.0.2.11'], vips: { [vip]: { present: true, suppressed: true } }, problems: [] });

    t.comment('a second one with the same state folder is refused');
    const second = agent();
    t.equal(await second.exit, 1);
    t.match(await second.stderr, /another dsr-agent runs with the state folder/);

    t.comment('drift is repaired');
    host.inHost('ip', 'addr', 'del', `${vip}/32`, 'dev', 'lo');
    await eventually(host.hasVip, 'the VIP is back');
    host.inHost('sh', '-c', 'echo 0 > /proc/sys/net/ipv4/conf/all/arp_announce');
    await eventually(() => host.look().includes('conf/all/arp_announce:2\n'), 'the sysctl is back');

    t.comment('killed, it leaves the host as it is');
    const serving = host.look();
    first.child.kill('SIGKILL');
    await first.exit;
    t.equal(host.look(), serving);
    t.equal(weight(c), 100);
  });

  await t.test(
    'it starts again without touching what is in place, and SIGTERM ends it with 0 and leaves the VIP',
    async (t) => {
      const again = agent();
      const known = c.agents.all().get('rs1')?.lastReport ?? 0;
      await eventually(() => (c.agents.all().get('rs1')?.lastReport ?? 0) > known, 'it reports');
      again.child.kill('SIGTERM');
      t.equal(await again.exit, 0);
      t.ok(host.hasVip());
      t.notMatch(await again.stdout, /"applied"/);
      t.match(await again.stdout, /stopping; this host stays as it is/);
    },
  );

  await t.test('teardown tells the director, and puts the host back byte for byte', async (t) => {
    const down = agent('teardown');
    t.equal(await down.exit, 0, await down.stderr);
    t.match(await down.stdout, new RegExp(`^ip addr del ${vip}/32 dev lo\nsysctl -w `));
    t.equal(host.look(), before);
    await c.when(() => weight(c) === 0);
    t.match(JSON.parse(readFileSync(join(dir, 'agent.json'), 'utf8')), { desired: { vips: [] } });
    const nothing = agent('teardown');
    t.equal(await nothing.exit, 0);
    t.equal(await nothing.stdout, '');
  });

  await t.test('without its controller it brings the host up as it was last told', async (t) => {
    const one = agent();
    await c.when(() => weight(c) === 100);
    one.child.kill('SIGTERM');
    await one.exit;
    host.inHost('ip', 'addr', 'del', `${vip}/32`, 'dev', 'lo');
    await c.stop();
    const alone = agent();
    await eventually(host.hasVip, 'the VIP is there');
    alone.child.kill('SIGTERM');
    t.equal(await alone.exit, 0);
    const down = agent('teardown');
    t.equal(await down.exit, 0, 'nor does teardown need it');
    t.equal(host.look(), before);
  });
}

if (inside) await whole();
else if (!allowed) t.plan(0, 'needs root, and a kernel with network namespaces and veth');
else
  t.spawn(
    'unshare',
    ['--net', process.execPath, ...typescript, fileURLToPath(import.meta.url)],
    { env: { ...process.env, TEST_AGENT_INSIDE: '1' } },
    'in a network namespace',
  );
