import t from 'tap';
import { fitReport, vip, webPool } from '../../api/site.ts';
import { dsrctl, type Site, startSite } from '../site.ts';

const counted = { mac: '02:00:00:00:00:11', rxBytes: 0, rxPackets: 0, txPackets: 0, rxLost: 0, txLost: 0 };

/** Both agents report twice: this much went out in that second. */
async function flow(c: Site, mbit: Record<string, number>): Promise<void> {
  for (const [at, part] of [
    [0, 0],
    [1000, 1],
  ] as const)
    for (const [name, of] of Object.entries(mbit)) {
      const card = { ...counted, interface: 'eth0', speedMbit: 100, txBytes: of * 125_000 * part, at };
      await c.call('POST', `/v1/agents/${name}/report`, {
        ...fitReport(name, name === 'rs1' ? '192.0.2.11' : '192.0.2.12', [vip]),
        card,
      });
    }
}

t.test('capacity says how full the pools are, and what a load takes', async (t) => {
  const c = await startSite(t);
  t.equal(await c.ok(['capacity']), 'no pool yet\n');
  await flow(c, { rs1: 30, rs2: 10 });
  await c.call('PUT', '/v1/pools/web?waitMs=5000', {
    ...webPool(),
    balance: 'headroom',
    ports: { '80/tcp': { policy: 'real-servers' } },
  });
  await c.when(() => c.director.last()?.standings.get('web')?.realServers.get('rs2')?.serving ?? false);
  t.match(await c.ok(['capacity']), /^POOL .*\nweb +40\.0 +200 +20 % +\? +\? +rs1 +-\n$/);
  const words = await c.ok(['capacity', 'web']);
  t.match(words, /^web\n {2}40 of 200 Mbit\/s \(20 %\)\n {2}rs1's card is full first\n/);
  t.match(
    words,
    /\n {2}when it will be full is not known yet: 0 of 14 days seen\n {2}without rs1 100 Mbit\/s are left\n$/,
  );
  for (const argv of [['status'], ['status', 'web']])
    t.match(
      await c.ok(argv),
      /\n {2}40 of 200 Mbit\/s \(20 %\); rs1's card is full first; when it will be full is not/,
    );
  t.match(JSON.parse(await c.ok(['capacity', '--json'])), { pools: { web: { fullPercent: 20, first: 'rs1' } } });
  t.match(JSON.parse(await c.ok(['capacity', 'web', '--json'])), {
    pools: { web: { carriedMbit: 40, cards: { rs1: 100, rs2: 100 }, forecast: { state: 'learning' } } },
  });
  const plan = await c.ok(['capacity', '--peak', '250mbit']);
  t.match(plan, /4 real servers with a card of 100 Mbit\/s; 5, so that one may fail/);
  t.match(plan, /web +has 2 real servers in service with 200 Mbit\/s together: 2 more; 3 more, so that one may fail/);
  t.match(JSON.parse(await c.ok(['capacity', 'web', '--peak', '250mbit', '--json'])), {
    pool: 'web',
    servers: 4,
    proxy: { leastMbit: 312.5, proxies: 4 },
    have: { servers: 2, missing: 2 },
  });
  await c.call('PUT', '/v1/pools/img?waitMs=5000', { ...webPool(), vip: '192.0.2.101' });
  t.match(await c.ctl(['capacity', '--peak', '250mbit']), { code: 2, stderr: /of which pool\? .*: web, img/ });
  t.match(await c.ctl(['capacity', 'none']), { code: 1, stderr: /there is no pool "none"/ });
});

t.test('before there is anything, a card is enough to plan with, and no controller is asked', async (t) => {
  const env = { DSR_CONTROLLER: 'http://127.0.0.1:9' };
  const { code, stdout } = await dsrctl(['capacity', '--peak', '250mbit', '--card', '100mbit'], { env });
  t.equal(code, 0);
  t.match(stdout, /4 real servers with a card of 100 Mbit\/s/);
  t.match(await dsrctl(['capacity', '--peak', '250mbit'], { env }), { code: 1, stderr: /cannot be reached/ });
});

t.test('what cannot be meant is refused in words', async (t) => {
  const c = await startSite(t);
  const refused = async (argv: string[], words: RegExp) =>
    t.match(await c.ctl(['capacity', ...argv]), { code: 2, stdout: '', stderr: words }, argv.join(' '));
  await refused(['--peak', '250'], /Write it like 250mbit, 1gbit or 1\.2gbit/);
  await refused(['--peak', '0mbit'], /It is 1kbit to 1000gbit/);
  await refused(['--peak', '2000gbit'], /It is 1kbit to 1000gbit/);
  await refused(['--card', '100mbit'], /--card goes with --peak/);
  await refused(['--peak', '250mbit'], /which card\? The speed of none is known: say it with --card 100mbit/);
  await c.call('PUT', '/v1/pools/web?waitMs=5000', webPool());
  await refused(['web', '--peak', '250mbit'], /The speed of none is known in web: /);
});
