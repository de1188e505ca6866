import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { fine, sysctlFix } from '../../../src/core/doctor/finding.ts';

t.test('what is fine has nothing to mend', async (t) => {
  t.strictSame(fine('mtu', 'all is well', 'it matters'), {
    check: 'mtu',
    level: 'ok',
    what: 'all is well',
    why: 'it matters',
    fix: [],
  });
});

t.test('sysctls are set now by the steps or the lines, and for the next boot by a file', async (t) => {
  const { fix, steps } = sysctlFix('x', { 'net.ipv4.a': '1', 'net.ipv4.b': '2' });
  t.strictSame(steps, [
    { op: 'set-sysctl', key: 'net.ipv4.a', value: '1' },
    { op: 'set-sysctl', key: 'net.ipv4.b', value: '2' },
  ]);
  t.strictSame(fix.slice(0, 2), ['sysctl -w net.ipv4.a=1', 'sysctl -w net.ipv4.b=2']);
  const root = t.testdir({});
  mkdirSync(join(root, 'etc/sysctl.d'), { recursive: true });
  execFileSync('sh', ['-ec', fix[2]?.replace('/etc/', `${root}/etc/`) ?? 'false']);
  t.equal(readFileSync(join(root, 'etc/sysctl.d/90-dsr-x.conf'), 'utf8'), 'net.ipv4.a = 1\nnet.ipv4.b = 2\n');
});
