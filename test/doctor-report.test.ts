import t from 'tap';
import type { Finding } from '../src/core/doctor/finding.ts';
import { fine, sysctlFix } from '../src/core/doctor/finding.ts';
import { tellFindings } from '../src/doctor-report.ts';
import { createFakeKernel } from './fake-kernel.ts';

const key = 'net.ipv4.conf.all.arp_ignore';
const bad: Finding = {
  check: 'arp',
  level: 'problem',
  what: 'is so',
  why: 'it matters',
  ...sysctlFix('x', { [key]: '1' }),
};
const warning: Finding = { ...bad, level: 'warning' };
const byHand: Finding = { check: 'mtu', level: 'problem', what: 'is low', why: 'so', fix: ['# first', 'ip link set'] };

async function tell(findings: Finding[], kernel?: Parameters<typeof tellFindings>[1]) {
  let text = '';
  const code = await tellFindings(findings, kernel, (more) => {
    text += more;
  });
  return { code, text };
}

t.test('each finding is a line; what is not well says why, and what to type', async (t) => {
  const unknown: Finding = { check: 'lro', level: 'unknown', what: 'not told', why: 'so', fix: [] };
  const { code, text } = await tell([fine('clock', 'all is well', 'x'), warning, unknown, byHand]);
  t.equal(code, 1);
  t.equal(
    text,
    `[ ok ] clock: all is well
[warn] arp: is so
       why: it matters
       $ sysctl -w ${key}=1
       $ printf '%s\\n' '${key} = 1' > /etc/sysctl.d/90-dsr-x.conf
[ ?  ] lro: not told
       why: so
[BAD ] mtu: is low
       why: so
       # first
       $ ip link set
`,
  );
});

t.test('only a problem makes the exit code 1', async (t) => {
  t.equal((await tell([])).code, 0);
  t.equal((await tell([fine('a', 'b', 'c'), warning, { ...byHand, level: 'unknown' }])).code, 0);
  t.equal((await tell([warning, bad])).code, 1);
});

t.test('with a kernel, what is safe is mended, and is no problem any more', async (t) => {
  const kernel = createFakeKernel();
  const { code, text } = await tell([bad], kernel);
  t.equal(code, 0);
  t.equal(kernel.world.sysctls.get(key), '1');
  t.match(text, `       mended: sysctl -w ${key}=1   # until the next boot; for good:\n       $ sysctl -w`);
  t.equal((await tell([bad, byHand], kernel)).code, 1, 'the rest is left to a person');
});

t.test('what could not be mended is told, and stays a problem', async (t) => {
  const kernel = createFakeKernel();
  kernel.refuse = () => 'EROFS';
  const { code, text } = await tell([bad], kernel);
  t.equal(code, 1);
  t.match(text, /^ {7}could not be mended: cannot sysctl -w .*: EROFS$/m);
  t.notMatch(text, /mended: sysctl/);
});
