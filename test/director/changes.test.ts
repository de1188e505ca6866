import t from 'tap';
import { emptyState } from '../../src/core/state.ts';
import type { Step } from '../../src/core/steps.ts';
import type { Standing } from '../../src/core/weight.ts';
import { reportChanges, reportDrift } from '../../src/director/changes.ts';
import type { Pass } from '../../src/director/reconcile.ts';
import { createEvents } from '../../src/store/events.ts';
import { inMemory } from '../documents.ts';

const standing = (serving: boolean, reason = 'because'): Standing => ({
  weight: serving ? 7 : 0,
  serving,
  well: true,
  reason,
});
const pass = (more: Partial<Pass> = {}): Pass => ({
  revision: 1,
  reconciledRevision: 1,
  state: emptyState(),
  look: { services: new Map(), addresses: [], links: [], sysctls: new Map(), routes: [], tookMs: 0 },
  desired: {
    services: new Map(),
    addresses: new Map(),
    vips: new Set(),
    localPorts: new Map(),
    sysctls: new Map(),
    routes: new Map(),
  },
  standings: new Map(),
  findings: new Map(),
  blocked: new Map(),
  failures: [],
  listening: new Map(),
  connections: new Map(),
  settled: true,
  held: false,
  ...more,
});
/** A pass over one pool with these real servers, and these notices of its ports. */
const standings = (of: Record<string, Standing>, notices: Record<string, string | undefined> = {}) => {
  const members = new Map(Object.entries(of));
  const ports = Object.entries(notices).map(
    ([key, notice]) => [key, { members, notice, directorAnswers: false }] as const,
  );
  return pass({ standings: new Map([['web', { realServers: members, ports: new Map(ports) }]]) });
};
const told = (before: Pass | undefined, after: Pass) => {
  const events = createEvents(inMemory({ events: [] }), () => {});
  reportChanges(events, before, after);
  return events.since().map(({ id: _, time: __, ...event }) => event);
};

const drain = {
  pool: 'web',
  realServer: 'rs1',
  vip: '192.0.2.100',
  address: '192.0.2.11',
  ports: ['80/tcp'],
  deadline: 0,
  drainMs: 0,
  done: false,
};
const draining = (...drains: (typeof drain | { realServer: null })[]) =>
  pass({ state: { ...emptyState(), drains: drains.map((d) => ({ ...drain, ...d })) } });
const step: Step = { op: 'delete-address', address: '192.0.2.100', prefix: 32, interface: 'eth0' };
const failure = { step, code: 'EPERM', message: 'not allowed' };

t.test('the first pass after a start is no news', async (t) => {
  t.strictSame(told(undefined, standings({ rs1: standing(true) })), []);
});

t.test('who comes into service, or goes out of it, or stays out for another reason, is told', async (t) => {
  const out = { type: 'real-server-out', pool: 'web', realServer: 'rs1' };
  const into = { type: 'real-server-in', pool: 'web', realServer: 'rs1' };
  const of = (was: Record<string, Standing>, is: Standing) => told(standings(was), standings({ rs1: is }));
  t.strictSame(of({ rs1: standing(true) }, standing(false)), [
    { ...out, message: 'rs1 of web takes no new traffic: because' },
  ]);
  t.strictSame(of({ rs1: standing(false) }, standing(false, 'of that')), [
    { ...out, message: 'rs1 of web takes no new traffic: of that' },
  ]);
  t.strictSame(of({ rs1: standing(false) }, standing(true)), [
    { ...into, message: 'rs1 of web takes traffic: because' },
  ]);
  t.match(of({}, standing(true)), [into], 'a new one too');
  t.strictSame(of({ rs1: standing(true) }, standing(true)), []);
  t.strictSame(told(standings({ rs1: standing(true) }), pass()), [], 'who left its pool asked for it');
});

t.test('who serves and begins or ceases to need a look is told, and mere words are not', async (t) => {
  const sick = { ...standing(true), well: false };
  const about = { pool: 'web', realServer: 'rs1' };
  const of = (was: Standing, is: Standing) => told(standings({ rs1: was }), standings({ rs1: is }));
  t.strictSame(of(standing(true), { ...sick, reason: 'its agent is silent' }), [
    {
      type: 'real-server-unwell',
      message: 'rs1 of web takes traffic, but needs a look: its agent is silent',
      ...about,
    },
  ]);
  t.strictSame(of(sick, standing(true, 'it speaks')), [
    { type: 'real-server-well', message: 'rs1 of web is well again: it speaks', ...about },
  ]);
  t.strictSame(of(standing(true), standing(true, 'answered 200')), []);
  t.strictSame(of(standing(true), { ...standing(true, 'slow start'), weight: 3 }), []);
  t.strictSame(of(sick, { ...sick, reason: 'in other words' }), []);
  t.match(of(standing(false), sick), [{ type: 'real-server-in' }], 'who comes in is told once');
  t.match(of(sick, { ...standing(false), well: false }), [{ type: 'real-server-out' }]);
});

t.test('a limit or a fallback that begins, changes or ends at a port is told', async (t) => {
  const of = (was: string | undefined, is: string | undefined) =>
    told(standings({}, { '80/tcp': was }), standings({}, { '80/tcp': is })).map(({ type, message }) => [type, message]);
  t.strictSame(of(undefined, 'nobody is left'), [['pool-notice', '80/tcp of web: nobody is left']]);
  t.strictSame(of('one', 'two'), [['pool-notice', '80/tcp of web: two']]);
  t.strictSame(of('nobody is left', undefined), [['pool-notice', '80/tcp of web: no longer: nobody is left']]);
  t.strictSame(of('nobody is left', 'nobody is left'), []);
  t.strictSame(of(undefined, undefined), []);
  t.match(
    told(pass(), standings({}, { '80/tcp': 'nobody is left' })),
    [{ type: 'pool-notice', pool: 'web' }],
    'a new pool',
  );
});

t.test('while a start is not settled, real servers are no news', async (t) => {
  const after = standings({ rs1: standing(false) }, { '80/tcp': 'nobody is left' });
  t.strictSame(told(standings({ rs1: standing(true) }), { ...after, settled: false }), []);
  t.match(told(pass(), { ...pass({ failures: [failure] }), settled: false }), [{ type: 'step-refused' }], 'others are');
});

t.test('a drain that ended is told, and one that was cancelled or was over is not', async (t) => {
  const done = { ...drain, done: true };
  t.match(told(draining(drain), draining(done)), [
    { type: 'drained', message: 'rs1 of web is drained', realServer: 'rs1' },
  ]);
  t.match(told(draining({ realServer: null }), draining({ ...done, ...{ realServer: null } })), [
    { type: 'drained', message: '192.0.2.11 of web is drained', pool: 'web' },
  ]);
  t.strictSame(told(draining(drain), draining(drain)), []);
  t.strictSame(told(draining(done), draining(done)), []);
  t.strictSame(told(draining(drain), draining()), []);
  t.strictSame(told(draining(drain), draining({ ...done, address: '192.0.2.12' })), [], 'another drain');
});

t.test('a refused step is told with its command when it is new', async (t) => {
  const failed = pass({ failures: [failure] });
  t.strictSame(told(pass(), failed), [
    { type: 'step-refused', message: 'ip addr del 192.0.2.100/32 dev eth0: not allowed' },
  ]);
  t.strictSame(told(failed, failed), []);
});

t.test('of each kind twenty are told, and how many more there were', async (t) => {
  const all = (serving: boolean) =>
    standings(Object.fromEntries(Array.from({ length: 23 }, (_, i) => [`rs${i}`, standing(serving)])));
  const after = { ...all(false), failures: [failure] };
  const events = told(all(true), after);
  t.strictSame(
    events.map(({ type }) => type),
    [...Array(20).fill('real-server-out'), 'step-refused', 'real-server-out'],
  );
  t.equal(events.at(-1)?.message, 'and 3 more like this');
});

t.test('drift is one event for each thing that was changed, with what put it right, or did not', async (t) => {
  const service = { vip: '192.0.2.100', port: 80, protocol: 'tcp' } as const;
  const gone = Array.from(
    { length: 7 },
    (_, i): Step => ({ op: 'delete-destination', service, address: `192.0.2.${i}`, port: 80 }),
  );
  const sysctl: Step = { op: 'set-sysctl', key: 'net.x', value: '1' };
  const events = createEvents(inMemory({ events: [] }), () => {});
  reportDrift(events, [...gone, step, sysctl], [failure]);
  t.match(events.since(), [
    {
      type: 'drift',
      vip: '192.0.2.100',
      message:
        /^192\.0\.2\.100:80\/tcp had been changed by somebody else and was put right: (ipvsadm -d [^;]*; ){4}ipvsadm -d [^;]* and 2 more$/,
    },
    {
      type: 'drift',
      vip: '192.0.2.100',
      message:
        '192.0.2.100 had been changed by somebody else and could not be put right: ip addr del 192.0.2.100/32 dev eth0',
    },
    { type: 'drift', message: 'net.x had been changed by somebody else and was put right: sysctl -w net.x=1' },
  ]);
  reportDrift(events, [], []);
  t.equal(events.since().length, 3);
});
