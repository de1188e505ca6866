import t from 'tap';
import { modelOf } from '../../../src/web/picture/model.ts';
import { statusOf } from '../status.ts';

t.test('every real server of the pools is in the picture, in the order of its number', async (t) => {
  const status = statusOf({ realServers: { rs10: {}, rs2: {}, rs1: {} } });
  const { servers } = modelOf(status, {});
  t.strictSame(servers.map(({ name }) => name), ['rs1', 'rs2', 'rs10']); // biome-ignore format: short
});

t.test('each state has a name of its own', async (t) => {
  const status = statusOf({
    realServers: {
      fine: { serving: true },
      held: { serving: true, unwell: 'kept in by the limit' },
      down: { serving: false, unwell: 'no answer' },
      going: { serving: false, state: 'drain', drain: { done: false } },
      gone: { serving: false, state: 'drain', drain: { done: true } },
      out: { serving: false, state: 'maintenance' },
      asked: { serving: false },
    },
  });
  const stands = Object.fromEntries(modelOf(status, {}).servers.map(({ name, stand }) => [name, stand]));
  t.strictSame(stands, {
    asked: 'drained',
    down: 'out',
    fine: 'serving',
    going: 'draining',
    gone: 'drained',
    held: 'unwell',
    out: 'maintenance',
  });
});

t.test('the fullest card is marked, and as the bottleneck only when it is full', async (t) => {
  const bottleneck = { host: 'rs1', direction: 'tx' as const, loadPercent: 96, full: true };
  const status = statusOf({ realServers: { rs1: {}, rs2: {} }, bottleneck });
  const marks = (of = status) => modelOf(of, {}).servers.map(({ mark }) => mark);
  t.strictSame(marks(), ['full', null]);
  t.strictSame(marks({ ...status, traffic: { ...status.traffic, bottleneck: { ...bottleneck, full: false } } }), [
    'fullest',
    null,
  ]);
  const director = { ...status.traffic, bottleneck: { ...bottleneck, host: 'director' } };
  t.equal(modelOf({ ...status, traffic: director }, {}).director.mark, 'full');
});

t.test('real servers of other pools stand as their pool and the whole status say', async (t) => {
  const status = statusOf({ realServers: {} });
  const pool = (state: 'active' | 'drain' | 'maintenance') => ({
    vip: '192.0.2.101',
    ports: {},
    realServers: { [state]: { address: '192.0.2.20', weight: 1, state } },
    attestation: 'required' as const,
    agentTimeoutMs: 5000,
    slowStartMs: 0,
    balance: 'weights' as const,
    maxEjectedPercent: 50,
    fallback: 'refuse' as const,
  });
  const stands = modelOf(status, { a: pool('active'), b: pool('drain'), c: pool('maintenance') }).servers;
  t.strictSame(
    stands.map(({ name, stand }) => [name, stand]),
    [
      ['active', 'serving'],
      ['drain', 'drained'],
      ['maintenance', 'maintenance'],
    ],
  );
});
