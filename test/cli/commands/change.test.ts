import t from 'tap';
import { patchOf } from '../../../src/cli/view/assignments.ts';
import { vip, webPool } from '../../api/site.ts';
import { startSite } from '../site.ts';

t.test('settings are read as a merge patch', async (t) => {
  t.strictSame(patchOf(['weight=50', 'state=drain', 'ports.80/tcp.scheduler=rr', 'ports.80/tcp.onePacket=null']), {
    patch: { weight: 50, state: 'drain', ports: { '80/tcp': { scheduler: 'rr', onePacket: null } } },
  });
  t.strictSame(patchOf(['check={"type":"tcp"}', 'a="1"', 'b=x=y', 'c=']), {
    patch: { check: { type: 'tcp' }, a: '1', b: 'x=y', c: '' },
  });
  for (const wrong of ['weight', '=5', 'a..b=1', '.a=1', 'a.=1', '__proto__.x=1', 'x.__proto__=1'])
    t.strictSame(patchOf(['x=1', wrong]), { wrong }, wrong);
  t.strictSame(patchOf(['a=1', 'a.b=2']), { wrong: 'a.b=2' });
});

t.test('set changes pools and real servers, and makes a real server that has an address', async (t) => {
  const c = await startSite(t);
  await c.call('PUT', '/v1/pools/web', webPool());
  const web = async () => (await c.call('GET', '/v1/pools/web')).body;

  t.match(
    await c.ok(['set', 'real-server', 'web/rs1', 'weight=50', '--wait', '5s']),
    /^revision 2: stored, and in the/,
  );
  t.equal((await web()).realServers.rs1.weight, 50);
  t.match(await c.ok(['set', 'pool', 'web', 'ports.80/tcp.scheduler=rr', 'fallback=keep']), /^revision 3: stored/);
  t.match(await web(), { fallback: 'keep', ports: { '80/tcp': { scheduler: 'rr' } } });
  t.match(JSON.parse(await c.ok(['set', 'real-server', 'web/rs3', 'address=192.0.2.13', '--json'])), { revision: 4 });
  t.match((await web()).realServers.rs3, { address: '192.0.2.13', weight: 100 });

  const absent = await c.ctl(['set', 'real-server', 'web/rs9', 'weight=1']);
  t.match(absent, { code: 1, stderr: /has no real server "rs9"/ });
  const wrong = await c.ctl(['set', 'real-server', 'web/rs1', 'weight=-1', 'colour=red']);
  t.match(wrong, { code: 1, stdout: '', stderr: /^dsrctl: The request is not valid \(INVALID_REQUEST\)\n/ });
  t.match(wrong.stderr, '  weight: weight is at least 0\n');
  t.match(wrong.stderr, /\n {2}colour: there is no such field/);
  t.match(await c.ctl(['set', 'pool', 'web', 'fallback']), {
    code: 2,
    stderr: /"fallback" is no setting; write KEY=VALUE/,
  });
});

t.test('what the kernel lacks after the time to wait is told, and ends with 1', async (t) => {
  const c = await startSite(t);
  c.kernel.world.lan.set(vip, '02:00:00:00:00:99');
  await c.call('PUT', '/v1/pools/web', webPool());
  const ended = await c.ctl(['set', 'pool', 'web', 'fallback=keep', '--wait', '100ms']);
  t.match(ended, { code: 1, stdout: /stored; the director's kernel still lacks:\n {2}.*02:00:00:00:00:99/ });
});

t.test('delete takes away pools, real servers and agents', async (t) => {
  const c = await startSite(t);
  c.attest('rs1', '192.0.2.11', [vip]);
  await c.call('PUT', '/v1/pools/web?waitMs=5000', webPool());
  t.match(await c.ok(['delete', 'real-server', 'web/rs1']), 'draining: rs1');
  t.match(JSON.parse(await c.ok(['delete', 'real-server', 'web/rs2', '--drain', '0', '--json'])), { revision: Number });
  t.match(await c.ok(['delete', 'pool', 'web', '--wait', '10']), /in the director's kernel/);
  t.strictSame((await c.call('GET', '/v1/pools')).body.pools, {});
  t.equal(await c.ok(['delete', 'agent', 'rs1']), 'rs1 is forgotten\n');
  t.match(await c.ctl(['delete', 'agent', 'rs1']), { code: 1, stderr: /no agent "rs1" has ever reported/ });
  t.match(await c.ctl(['delete', 'pool', 'web']), { code: 1, stderr: /there is no pool "web"/ });
});
