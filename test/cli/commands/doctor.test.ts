import t from 'tap';
import { answering, dsrctl, startSite, startStub } from '../site.ts';

const finding = (level: string, more: object = {}) => ({
  check: 'rp-filter',
  host: 'rs1',
  level,
  what: `it is ${level}`,
  why: 'because',
  fix: ['sysctl -w a=b', '# or this'],
  ...more,
});

t.test('what is wrong comes first, with its remedy; a problem ends with 1', async (t) => {
  const findings = [finding('ok'), finding('warning', { fix: [] }), finding('problem', { host: 'director' })];
  const { base } = await startStub(t, answering({ '/v1/doctor': { findings } }));
  const ended = await dsrctl(['doctor', '--controller', base]);
  t.equal(ended.code, 1);
  t.strictSame(ended.stdout.split('\n'), [
    'problem  director  it is problem  rp-filter',
    '         why: because',
    '         $ sysctl -w a=b',
    '         # or this',
    'warning  rs1  it is warning  rp-filter',
    '         why: because',
    'ok       rs1  it is ok  rp-filter',
    '1 problem, 1 warning, 0 unknown, 1 ok',
    '',
  ]);
  const json = await dsrctl(['doctor', '--json', '--controller', base]);
  t.equal(json.code, 1);
  t.strictSame(JSON.parse(json.stdout), { findings });
});

t.test('without a problem it ends with 0', async (t) => {
  const { base } = await startStub(
    t,
    answering({ '/v1/doctor': { findings: [finding('warning'), finding('unknown')] } }),
  );
  t.match(await dsrctl(['doctor', '--controller', base]), {
    code: 0,
    stdout: /0 problems, 1 warning, 1 unknown, 0 ok\n$/,
  });
});

t.test('a controller without a doctor is said to be one', async (t) => {
  const { base } = await startStub(t, answering({}));
  t.match(await dsrctl(['doctor', '--controller', base]), {
    code: 1,
    stdout: '',
    stderr: /has no doctor: it is older than/,
  });
});

t.test('a controller of this version has a doctor', async (t) => {
  const c = await startSite(t);
  t.equal(await c.ok(['doctor']), '0 problems, 0 warnings, 0 unknown, 0 ok\n');
});
