import t from 'tap';
import type { Services } from '../../../src/core/kernel-state.ts';
import { vip, webPool } from '../../api/site.ts';
import { answering, dsrctl, type Site, startSite, startStub } from '../site.ts';

const states = async (c: Site, server: string) =>
  Object.fromEntries(
    Object.entries((await c.call('GET', '/v1/pools')).body.pools).map(([name, pool]) => [
      name,
      (pool as ReturnType<typeof webPool>).realServers[server as 'rs1']?.state,
    ]),
  );

/** Two pools with the same real servers, all in service; rs1 has this many connections in "web". */
async function inService(t: Parameters<typeof startSite>[0], connections = 0): Promise<Site> {
  const c = await startSite(t);
  for (const name of ['rs1', 'rs2'] as const) c.attest(name, `192.0.2.1${name.at(-1)}`, [vip, '192.0.2.101']);
  await c.call('PUT', '/v1/pools?waitMs=5000', {
    pools: { web: webPool(), img: { ...webPool(), vip: '192.0.2.101' } },
  });
  await c.when(() => c.director.last()?.standings.get('web')?.realServers.get('rs1')?.serving ?? false);
  await setConnections(c, connections);
  return c;
}

const rs1Of = (services: Services | undefined) =>
  services?.get(`${vip}:80/tcp`)?.destinations.find(({ address }) => address === '192.0.2.11');

/** Returns when the controller has seen it. */
async function setConnections(c: Site, count: number): Promise<void> {
  await c.when(() => rs1Of(c.director.last()?.look.services) !== undefined);
  c.kernel.disturb(({ services }) => {
    const is = rs1Of(services);
    if (is) is.connections.active = count;
  });
  c.director.wake();
  await c.when(() => rs1Of(c.director.last()?.look.services)?.connections.active === count);
}

t.test('drain, maintenance and return act in all pools that name the server, or in one', async (t) => {
  const c = await inService(t);
  t.match(await c.ok(['drain', 'rs1']), /^web\/rs1: drain; dsrctl status web shows.*\nimg\/rs1: drain; /);
  t.strictSame(await states(c, 'rs1'), { web: 'drain', img: 'drain' });
  t.match(await c.ok(['return', 'rs1', '--pool', 'img']), /^img\/rs1: active/);
  t.strictSame(await states(c, 'rs1'), { web: 'drain', img: 'active' });
  t.match(JSON.parse(await c.ok(['maintenance', 'rs1', '--json'])), { pools: ['web', 'img'], state: 'maintenance' });
  t.strictSame(await states(c, 'rs1'), { web: 'maintenance', img: 'maintenance' });
  t.match(JSON.parse(await c.ok(['return', 'rs1', '--json'])), { realServer: 'rs1', state: 'active' });
  t.strictSame(await states(c, 'rs1'), { web: 'active', img: 'active' });
  t.strictSame(await states(c, 'rs2'), { web: 'active', img: 'active' }, 'and nobody else');
});

t.test('a name that is nowhere is said, with those that are', async (t) => {
  const c = await inService(t);
  for (const [argv, code, words] of [
    [['drain', 'rs9'], 1, /there is no real server "rs9"; there is rs1, rs2\n/],
    [['return', 'rs1', '--pool', 'none'], 1, /there is no pool "none"; there is web, img\n/],
    [['drain', 'web/rs1'], 2, /write the real server's name, and --pool/],
    [['drain', 'rs1', '--deadline', 'soon'], 2, /'--deadline <time>' argument 'soon' is invalid\. Write it like 30s/],
    [['drain'], 2, /missing required argument 'server'/],
  ] as const)
    t.match(await c.ctl(argv), { code, stdout: '', stderr: words }, argv.join(' '));
  t.strictSame(await states(c, 'rs1'), { web: 'active', img: 'active' });
});

t.test('--wait tells how many connections are left, and ends with 0 when none is', async (t) => {
  const c = await inService(t, 8);
  const drain = c.start(['drain', 'rs1', '--pool', 'web', '--wait', '--deadline', '10m']);
  await drain.says(/^web\/rs1 {2}8 connections left, 10 min to the deadline\n/m);
  await setConnections(c, 1);
  await drain.says(/^web\/rs1 {2}1 connection left, /m);
  await setConnections(c, 0);
  await drain.says(/^web\/rs1 {2}none left, making sure\n/m);
  t.equal(await drain.ended, 0);
  t.match(drain.stdout.text, /\nweb\/rs1: drained\n$/);
  t.notMatch(drain.stdout.text, '\u001b');
});

t.test('--wait ends with 1 when the deadline cut connections, and says how many', async (t) => {
  const c = await inService(t, 5);
  const ended = await c.ctl(['maintenance', 'rs1', '--wait', '--deadline', '600ms', '--json']);
  t.equal(ended.code, 1);
  t.match(JSON.parse(ended.stdout).outcomes, [
    { pool: 'web', cut: 5, returned: false },
    { pool: 'img', cut: 0, returned: false },
  ]);
  await c.ok(['return', 'rs1']);
  await setConnections(c, 3);
  const at = await c.ctl(['drain', 'rs1', '--pool', 'web', '--wait', '--deadline', '0']);
  t.match(at, { code: 1, stdout: /web\/rs1: the deadline passed with 3 connections left; they were cut\n$/ });
});

t.test('on a terminal it is a bar, drawn over', async (t) => {
  const c = await inService(t, 4);
  const drain = c.start(['drain', 'rs1', '--pool', 'web', '--wait'], { tty: true, env: { NO_COLOR: '1' } });
  await drain.says(/web\/rs1 {2}\[-{24}\] {2}4 connections left/);
  await setConnections(c, 2);
  await drain.says(/web\/rs1 {2}\[#{12}-{12}\] {2}2 connections left/);
  t.match(drain.stdout.text, '\u001b[1A\r\u001b[Kweb/rs1  [############------------]');
  await c.call('PATCH', '/v1/pools/web/real-servers/rs1', { state: 'active' });
  t.equal(await drain.ended, 1);
  t.match(drain.stdout.text, /web\/rs1: somebody set it to active again\n$/);
});

t.test('a real server that is deleted meanwhile is followed to its end', async (t) => {
  const c = await inService(t, 4);
  const drain = c.start(['drain', 'rs1', '--pool', 'web', '--wait']);
  await drain.says(/4 connections left/);
  await c.call('DELETE', '/v1/pools/web/real-servers/rs1?drainMs=1000');
  await setConnections(c, 2);
  await drain.says(/2 connections left/);
  t.equal(await drain.ended, 1);
  t.match(drain.stdout.text, /the deadline passed with 2 connections left/);
});

t.test('Ctrl-C ends the wait; the drain goes on', async (t) => {
  const c = await inService(t, 4);
  const drain = c.start(['drain', 'rs1', '--wait']);
  await drain.says(/4 connections left/);
  drain.interrupt();
  t.equal(await drain.ended, 130);
  t.strictSame(await states(c, 'rs1'), { web: 'drain', img: 'drain' });
});

t.test('a controller that is away for a while ends no wait', async (t) => {
  const deadline = new Date(Date.now() + 60_000).toISOString();
  const server = { address: '192.0.2.11', weight: 0, serving: false, reason: 'drain', observed: {}, actual: {} };
  const detail = (done: boolean) => ({
    well: true,
    missing: [],
    vip: { address: vip, reason: 'on eth0' },
    ports: {},
    realServers: {
      rs1: { ...server, desired: { state: 'drain' }, drain: { done, remainingConnections: 2, deadline } },
    },
    leaving: [],
  });
  const status = (done: boolean) => ({
    '/v1/status': { storedRevision: 1, reconciledRevision: 1, interface: 'eth0', pools: { web: detail(done) } },
  });
  let asked = 0;
  const { base } = await startStub(t, (request, response) => {
    if (request.method === 'PATCH') response.end('{"revision":1,"reconciled":true,"missing":[],"draining":[]}');
    else if (request.url === '/v1/pools')
      answering({ '/v1/pools': { revision: 1, pools: { web: webPool() } } })(request, response);
    else if (++asked === 3 || asked === 4) response.destroy();
    else answering(status(asked > 5))(request, response);
  });
  const ended = await dsrctl(['drain', 'rs1', '--wait', '--controller', base]);
  t.equal(ended.stderr.match(/cannot be reached/g)?.length, 1, 'told once');
  t.match(ended, { code: 1, stderr: /the controller is back\n$/, stdout: /2 connections left; they were cut/ });
});
