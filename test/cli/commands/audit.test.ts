import t from 'tap';
import { webPool } from '../../api/site.ts';
import { startSecureSite } from '../secure-site.ts';

t.test('who changed what and who was refused is a table, and whole in JSON', async (t) => {
  const c = await startSecureSite(t);
  await c.ctl(['apply', '-f', '-'], { stdin: JSON.stringify({ pools: { web: webPool() } }) });
  await c.ctl(['delete', 'pool', 'web'], { env: { DSR_TOKEN: c.viewer } });
  const { code, stdout } = await c.ctl(['audit']);
  t.equal(code, 0);
  t.match(stdout, /^TIME +WHO +FROM +WHAT +STATUS +REASON\n/);
  t.match(stdout, /\n20\S+ \S+Z +admin tests \(token \w{16}\) +127\.0\.0\.1 +PUT \/v1\/pools +20[0-2] *\n/);
  t.match(stdout, /viewer tests .* +DELETE \/v1\/pools\/web +403 +this token may only read/);
  t.equal((await c.ctl(['audit', '--last', '1'])).stdout.trim().split('\n').length, 2);
  const { entries } = JSON.parse((await c.ctl(['audit', '--json'])).stdout);
  t.match(
    entries.find(({ what }: { what: string }) => what.startsWith('PUT')),
    { after: {} },
  );
});

t.test('it is followed as it grows', async (t) => {
  const c = await startSecureSite(t);
  const create = (name: string) => c.ctl(['token', 'create', '--role', 'viewer', '--name', name]);
  await create('before');
  const lines = c.start(['audit', '--follow']);
  const json = c.start(['audit', '--follow', '--json', '--last', '0']);
  await lines.says(/POST \/v1\/tokens {2}201\n/);
  for (let i = 0; i < 25; i++) await create(`a${i}`);
  await json.says(/"name":"a24"/);
  const told = json.stdout.text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).after.name);
  t.strictSame(
    told,
    [...Array(25).keys()].map((i) => `a${i}`),
    'each once, in order',
  );
  await c.ctl(['delete', 'pool', 'last'], { env: { DSR_TOKEN: c.viewer } });
  await lines.says(/DELETE \/v1\/pools\/last {2}403/);
  t.equal(lines.stdout.text.match(/POST \/v1\/tokens {2}201\n/g)?.length, 26);
  for (const one of [lines, json]) one.interrupt();
  t.strictSame(await Promise.all([lines.ended, json.ended]), [0, 0]);
});
