import t from 'tap';
import { startSite } from '../site.ts';

const rules = [{ match: { extensions: ['jpg'] }, to: 'real-servers' }];
const pool = {
  vip: '192.0.2.100',
  ports: { '80/tcp': { policy: 'url', rules, edge: { origin: '192.0.2.10:8080' } } },
  realServers: { rs1: { address: '192.0.2.11' } },
};

t.test('explain tells the rule, the way and the real servers; purge tells who has not done it', async (t) => {
  const c = await startSite(t);
  await c.call('PUT', '/v1/pools/web?waitMs=5000', pool);
  const told = await c.ok(['explain', 'GET', 'http://example.com/a.jpg']);
  t.match(
    told,
    /^a real server {2}web, 192\.0\.2\.100 80\/tcp \(url, engine edge\)\n {2}why: rule 1 matches \(\.jpg\)\n {2}way: /,
  );
  t.match(told, /REAL SERVER.*\n {2}rs1 .*192\.0\.2\.11 +0 +0 % +no agent has reported/);
  t.match(await c.ok(['explain', '/a.php', '--pool', 'web']), /^the director/);
  t.match(JSON.parse(await c.ok(['explain', '/a.php', '--json'])), { answers: [{ to: 'director' }] });
  t.match(await c.ctl(['explain', 'GET', 'nonsense']), { code: 1, stderr: /a URL such as/ });
  c.attest('rs1', '192.0.2.11', ['192.0.2.100'], { revision: 99 });
  t.equal(await c.ok(['purge', 'web', '/img/']), '/img/ of web is fetched from the director again\n');
  c.attest('rs1', '192.0.2.11', ['192.0.2.100'], { revision: 1 });
});
