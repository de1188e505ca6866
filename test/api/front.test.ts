import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { frontDesiredSchema } from '../../src/handoff-schema.ts';
import { startController, vip } from './site.ts';

const pool = {
  vip,
  ports: {
    '80/tcp': {
      policy: 'url',
      engine: 'handoff',
      rules: [{ match: { extensions: ['jpg'] }, to: 'real-servers' }],
      check: { type: 'tcp' },
    },
  },
  realServers: { rs1: { address: '192.0.2.11' } },
};

t.test('the front is told of its ports, and again when something changes', async (t) => {
  const c = await startController(t);
  await c.call('PUT', '/v1/pools/web?waitMs=5000', pool);
  const first = frontDesiredSchema.parse((await c.call('GET', '/v1/front')).body);
  t.match(first.ports, [{ pool: 'web', vip, port: 80, servers: [{ name: 'rs1', weight: 0 }] }]);
  t.same(first.keys, {}, 'no agent has spoken');
  const asking = c.call('GET', `/v1/front?version=${first.version}`);
  c.attest('rs1', '192.0.2.11', [vip]);
  const second = frontDesiredSchema.parse((await asking).body);
  t.not(second.version, first.version);
  t.same(Object.keys(second.keys), ['rs1']);
  const same = await c.call('GET', `/v1/front?version=${second.version}&waitMs=0`);
  t.equal(typeof same.body.version, 'string');
});

t.test('an agent that says which machine it is has the same secret as the front', async (t) => {
  const c = await startController(t);
  await c.call('PUT', '/v1/pools/web?waitMs=5000', pool);
  c.attest('rs1', '192.0.2.11', [vip]);
  await c.when(() => c.director.last() !== undefined);
  const { body: front } = await c.call('GET', '/v1/front');
  const { body: agent } = await c.call('GET', '/v1/agents/rs1/desired?machineId=machine-of-rs1');
  t.equal(agent.handoff.key, front.keys.rs1);
  t.match(agent.handoff.ports, [{ vip, port: 80, policy: { engine: 'handoff' } }]);
  t.equal((await c.call('GET', '/v1/agents/rs1/desired')).body.handoff, undefined);
  const { body: other } = await c.call('GET', '/v1/agents/rs1/desired?machineId=another');
  t.not(other.handoff.key, front.keys.rs1);
});

t.test('that nobody answers such ports for want of a front is said, and not while it asks', async (t) => {
  const c = await startController(t);
  await c.call('PUT', '/v1/pools/web?waitMs=5000', pool);
  const problems = async () => (await c.call('GET', '/v1/status')).body.problems as string[];
  const words = /dsr-front does not run, so nobody answers 192\.0\.2\.100:80/;
  const end = performance.now() + 20_000;
  while (!words.test((await problems()).join()) && performance.now() < end) await sleep(100);
  t.match(await problems(), [words]);
  const { version } = (await c.call('GET', '/v1/front')).body;
  const asking = c.call('GET', `/v1/front?version=${version}&waitMs=300`);
  t.same(await problems(), []);
  await asking;
  t.same(await problems(), [], 'it asks again in a moment');
});
