import t from 'tap';
import { parse } from 'yaml';
import { vip, webPool } from '../../api/site.ts';
import { startSite } from '../site.ts';

t.test('pools, real servers and agents are listed, and shown in full by name', async (t) => {
  const c = await startSite(t);
  c.attest('rs1', '192.0.2.11', [vip], { problems: ['a small one'] });
  await c.call('PUT', '/v1/pools/web', webPool());
  await c.call('PUT', '/v1/pools/img', { ...webPool(), vip: '192.0.2.101' });

  const pools = (await c.ok(['get', 'pools'])).split('\n');
  t.match(pools[0], /^POOL +VIP +REAL SERVERS +PORTS$/);
  t.match(pools[1], /^web +192\.0\.2\.100 +2 +80\/tcp wlc, 8080\/tcp director$/);
  t.equal(pools.length, 4);
  t.strictSame(JSON.parse(await c.ok(['get', 'pools', '--json'])), (await c.call('GET', '/v1/pools')).body);

  const pool = (await c.call('GET', '/v1/pools/web')).body;
  t.strictSame(parse(await c.ok(['get', 'pool', 'web'])), pool, 'in full it is YAML');
  t.strictSame(JSON.parse(await c.ok(['--json', 'get', 'pool', 'web'])), pool);

  t.equal((await c.ok(['get', 'real-servers'])).trim().split('\n').length, 5);
  t.match(await c.ok(['get', 'real-servers', 'web']), /web +rs2 +192\.0\.2\.12 +100 +active\n$/);
  t.strictSame(JSON.parse(await c.ok(['get', 'real-servers', 'web', '--json'])), { web: pool.realServers });
  t.strictSame(parse(await c.ok(['get', 'real-server', 'web/rs1'])), pool.realServers.rs1);
  t.strictSame(JSON.parse(await c.ok(['get', 'real-server', 'web/rs1', '--json'])), pool.realServers.rs1);

  t.match(await c.ok(['get', 'agents']), /\nrs1 +\d+ m?s ago +192\.0\.2\.11 +1 of 1 fit +a small one\n$/);
  t.match(JSON.parse(await c.ok(['get', 'agents', '--json'])), { agents: { rs1: { protocol: 1 } } });
  t.match(parse(await c.ok(['get', 'agent', 'rs1'])), { machineId: 'machine-of-rs1', problems: ['a small one'] });
});

t.test('what is not there is said, with what there is', async (t) => {
  const c = await startSite(t);
  await c.call('PUT', '/v1/pools/web', webPool());
  for (const [argv, code, words] of [
    [['get', 'pool', 'none'], 1, /there is no pool "none"/],
    [['get', 'real-servers', 'none'], 1, /there is no pool "none"; there is web\n/],
    [['get', 'real-server', 'web/rs9'], 1, /has no real server "rs9"/],
    [['get', 'real-server', 'web/rs1/x'], 2, /"web\/rs1\/x" is no real server of a pool; write POOL\/NAME/],
    [['get', 'agent', 'rs9'], 1, /there is no agent "rs9"; there is none\n/],
    [['get', 'pool', 'constructor'], 1, /there is no pool "constructor"/],
    [['get', 'nothing'], 2, /unknown command 'nothing'/],
    [['get'], 2, /a command is missing/],
  ] as const) {
    const ended = await c.ctl(argv);
    t.match(ended, { code, stdout: '', stderr: words }, argv.join(' '));
  }
});
