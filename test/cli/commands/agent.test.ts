import t from 'tap';
import { vip } from '../../api/site.ts';
import { startSecureSite } from '../secure-site.ts';
import { startSite } from '../site.ts';

t.test('an invitation is the one line to run on the real server, and good once', async (t) => {
  const c = await startSecureSite(t);
  const { code, stdout, stderr } = await c.ctl(['agent', 'invite', 'rs1', '--expires', '10m']);
  t.equal(code, 0);
  const [, token = ''] =
    new RegExp(`^dsr-agent join https://192\\.0\\.2\\.10:7100 --token (dsr_\\S+) --ca-sha256 ${c.sha256}\n$`).exec(
      stdout,
    ) ?? [];
  t.match(token, /^dsr_/, stdout);
  t.match(
    stderr,
    /^run it as root on rs1; it is good once, until 20\S+ \S+Z\nthe controller is also at https:\/\/\[2001/,
  );
  t.notMatch(stderr, token.slice(21));
  const join = () => c.call('POST', '/v1/join', { machineId: 'm1' }, { authorization: `Bearer ${token}` });
  t.match(await join(), { status: 200, body: { agent: 'rs1' } });
  t.match(await join(), { status: 401 });
  t.match(JSON.parse((await c.ctl(['agent', 'invite', 'rs2', '--json'])).stdout), { agent: 'rs2', caSha256: c.sha256 });
  t.match(await c.ctl(['agent', 'invite', 'rs1', '--expires', '8d']), { code: 2, stderr: /At most 7d/ });
  t.match(await c.ctl(['agent', 'invite', 'RS 1']), { code: 1, stderr: /agent: / });
});

t.test('agents are listed and forgotten', async (t) => {
  const c = await startSecureSite(t);
  c.attest('rs1', '192.0.2.11', [vip]);
  const list = await c.ctl(['agent', 'list']);
  t.match(list, { code: 0, stdout: /\nrs1 +\d+ m?s ago +192\.0\.2\.11/ });
  t.match((await c.ctl(['get', 'agents'])).stdout, /\nrs1 /);
  t.match(await c.ctl(['agent', 'forget', 'rs1']), { code: 0, stdout: 'rs1 is forgotten\n' });
  t.match(await c.ctl(['agent', 'forget', 'rs1']), { code: 1, stderr: /no agent "rs1"/ });
});

t.test('where there are no tokens, that is said', async (t) => {
  const c = await startSite(t);
  for (const argv of [['agent', 'invite', 'rs1'], ['token', 'list'], ['audit'], ['ca']])
    t.match(
      await c.ctl(argv),
      { code: 1, stdout: '', stderr: /"insecure": true|plain HTTP|no other host/ },
      argv.join(' '),
    );
});
