import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { Host } from '../../infra/lab/host.ts';
import { vip } from '../../infra/lab/hosts.ts';
import { startImages } from '../../infra/lab/parts.ts';
import { seed } from '../property.ts';
import type { PoolText } from './api.ts';
import { savedLines } from './expected.ts';
import { followRules, monitor } from './follow.ts';
import { addLongImage } from './images.ts';
import { holdersOf, ipvs } from './kernel.ts';
import { startLoad } from './load.ts';
import { makeSite } from './site.ts';

const rounds = process.env.LONG ? 40 : 3;
/** Of tests that start programs each time. */
const starts = process.env.LONG ? 12 : 2;
const site = await makeSite(t);
const { api, client, director, rs1, rs2, until } = site;
const web: PoolText = {
  vip,
  ports: { '80/tcp': { policy: 'real-servers', scheduler: 'rr' } },
  realServers: { rs1: { address: rs1.ip }, rs2: { address: rs2.ip } },
};
await Promise.all([rs1, rs2].map((rs) => startImages(rs, { count: 1, bytes: 2000 })));
for (const rs of [rs1, rs2]) await addLongImage(rs);
let controller = await site.startController();
const agents = new Map([rs1, rs2].map((rs) => [rs, site.startAgent(rs)]));
await api.put('web', web);
await until(async () => (await ipvs(director)).filter((line) => line.endsWith('-w 100')).length === 2, 'the weights');

const good = savedLines({ web });
const load = await startLoad(client, vip);
const rules = await followRules(director, vip);
const monitors = new Map<string, () => Promise<string[]>>();
for (const host of [director, rs1, rs2]) monitors.set(host.name, await monitor(host));

t.comment(`FC_SEED=${seed}`);
let state = seed;
/** Pseudo-random, from the seed that is printed: 0 up to `below`. */
const random = (below: number): number => {
  state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
  return (state / 0x8000_0000) * below;
};

/** A file of ours on a host, which must be whole at any moment. */
const document = async <T>(host: Host, file: string): Promise<T> =>
  JSON.parse(await readFile(join(host.dir, 'state', file), 'utf8')) as T;

const settled = () =>
  until(async () => {
    const { body } = await api.call<{ storedRevision: number; reconciledRevision: number }>('GET', '/v1/status');
    return body.storedRevision === body.reconciledRevision;
  }, 'the kernel to have all that is stored');

t.test('a controller that is stopped and started again changes nothing', async (t) => {
  t.equal(await controller.end('SIGTERM'), 0);
  t.same(await ipvs(director), good);
  controller = await site.startController();
  await settled();
  t.same(await ipvs(director), good);
});

t.test('a controller that is killed while it starts changes nothing, at whatever moment', async (t) => {
  await controller.end('SIGKILL');
  for (let round = 0; round < starts; round++) {
    const starting = site.spawnController();
    await sleep(random(2000));
    t.equal(await starting.end('SIGKILL'), 'SIGKILL');
    t.same(await ipvs(director), good);
  }
});

t.test('agents without their controller, stopped, killed and started, change nothing', async (t) => {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const)
    for (const [rs, agent] of agents) {
      t.equal(await agent.end(signal), signal === 'SIGTERM' ? 0 : signal);
      agents.set(rs, site.startAgent(rs));
      await sleep(random(1000));
    }
  for (const rs of [rs1, rs2]) t.same(await holdersOf(rs, vip), [`lo ${vip}/32`]);
  controller = await site.startController();
  await settled();
  t.same(await ipvs(director), good);
});

t.test('agents that are dead change nothing while the controller goes on', async (t) => {
  for (const agent of agents.values()) await agent.end('SIGKILL');
  await controller.end('SIGTERM');
  controller = await site.startController();
  await settled();
  t.same(await ipvs(director), good);
  for (const rs of [rs1, rs2]) agents.set(rs, site.startAgent(rs));
});

/** Other pools, which change as fast as can be: their n-th state. */
const storm = (name: string, n: number): PoolText => {
  const scheduler = (['rr', 'wrr', 'lc', 'wlc'] as const)[n % 4]!;
  const ports = Array.from({ length: 10 }, (_, i) => [
    `${1000 + i + (n % 3)}/tcp`,
    { policy: 'real-servers', scheduler },
  ]);
  const realServers = Array.from({ length: 10 }, (_, i) => [
    `${name}-${i + (n % 2)}`,
    { address: `192.0.2.${(name === 'a' ? 150 : 170) + i + (n % 2)}`, weight: 0, upperThreshold: n },
  ]);
  return {
    vip: name === 'a' ? '192.0.2.140' : '192.0.2.141',
    ports: Object.fromEntries(ports),
    realServers: Object.fromEntries(realServers),
  };
};

t.test(`a controller killed ${rounds} times in a storm of writes keeps every write that it acknowledged`, async (t) => {
  const acknowledged = { a: 0, b: 0 };
  const sent = { a: 0, b: 0 };
  let revision = 0;
  for (let round = 1; round <= rounds; round++) {
    const killed = controller;
    let going = true;
    let answered = () => {};
    const firstAnswer = new Promise<void>((resolve) => {
      answered = resolve;
    });
    const write = async (name: 'a' | 'b') => {
      while (going) {
        const n = ++sent[name];
        const answer = await api
          .call<{ revision: number }>('PUT', `/v1/pools/${name}?drainMs=0`, storm(name, n))
          .catch(() => undefined);
        if (!answer) return;
        if (answer.status >= 300) throw new Error(JSON.stringify(answer.body));
        acknowledged[name] = n;
        revision = Math.max(revision, answer.body.revision);
        answered();
      }
    };
    const writing = [write('a'), write('b')];
    await firstAnswer;
    await sleep(random(500));
    await killed.end('SIGKILL');
    going = false;
    await Promise.all(writing);
    const onDisk = await document<{ version: number; revision: number }>(director, 'state.json');
    t.ok(onDisk.version === 1 && onDisk.revision >= revision, `round ${round}: the file is whole`);
    controller = await site.startController();
    for (const name of ['a', 'b'] as const) {
      const { body } = await api.call<PoolText>('GET', `/v1/pools/${name}`);
      const n = Object.values(body.realServers ?? {})[0]?.upperThreshold ?? 0;
      t.ok(
        n >= acknowledged[name] && n <= sent[name],
        `round ${round}: pool ${name} is at ${n}, ${acknowledged[name]} was acknowledged`,
      );
    }
  }
  t.ok(acknowledged.a + acknowledged.b > rounds, `${acknowledged.a + acknowledged.b} writes were acknowledged`);
});

t.test('after the last of them the kernel has exactly what is stored', async (t) => {
  await settled();
  const { body } = await api.call<{ pools: Record<string, PoolText> }>('GET', '/v1/pools');
  t.same(Object.keys(body.pools).sort(), ['a', 'b', 'web']);
  t.same(await ipvs(director), savedLines(body.pools));
});

t.test('a deletion that was acknowledged just before a kill is carried out after the start', async (t) => {
  const answers = await Promise.all(['a', 'b'].map((name) => api.call('DELETE', `/v1/pools/${name}`)));
  await controller.end('SIGKILL');
  t.same(
    answers.map(({ status }) => status < 300),
    [true, true],
  );
  controller = await site.startController();
  await until(async () => (await ipvs(director)).length === good.length, 'the services to go');
  t.same(await ipvs(director), good);
  for (const gone of ['192.0.2.140', '192.0.2.141'])
    await until(async () => (await holdersOf(director, gone)).length === 0, `${gone} to go`);
});

t.test(
  'an agent killed again and again while its VIPs come and go ends with exactly those that are wanted',
  async (t) => {
    const extra = (n: number): PoolText => ({
      vip: `192.0.2.${142 + (n % 2)}`,
      ports: { '80/tcp': { policy: 'real-servers' } },
      realServers: { rs1: { address: rs1.ip } },
    });
    for (let round = 0; round < starts; round++) {
      await api.call('PUT', '/v1/pools/extra?drainMs=0', extra(round));
      await sleep(random(400));
      await agents.get(rs1)!.end('SIGKILL');
      t.equal((await document<{ version: number }>(rs1, 'agent.json')).version, 1, `round ${round}: its file is whole`);
      agents.set(rs1, site.startAgent(rs1));
      await sleep(random(1500));
    }
    await until(async () => (await holdersOf(rs1, extra(starts - 1).vip)).length === 1, 'the last VIP');
    await until(async () => (await holdersOf(rs1, extra(starts - 2).vip)).length === 0, 'the one before to go');
    t.same(await holdersOf(rs1, vip), [`lo ${vip}/32`]);
  },
);

t.test(
  'of all this the clients noticed nothing, and the pool that nobody changed never did in any kernel',
  async (t) => {
    rules.stop();
    const states = rules.states();
    t.same(states, states.slice(0, 1), 'its services stayed as they were');
    for (const [name, lines] of monitors) {
      // The director's interface is told of again, as it was, whenever the prober's link joins it or leaves it.
      const unchanged = /^\d+: eth0@\S+ <BROADCAST,MULTICAST,UP,LOWER_UP> .* state UP /;
      const about = (await lines()).filter(
        (line) => line.includes(`${vip}/`) || !(/192\.0\.2\.14\d/.test(line) || unchanged.test(line)),
      );
      t.same(about, [], `ip monitor on ${name}`);
    }
    const { requests, failures } = await load.stop();
    t.ok(requests > 1000, `${requests} requests`);
    const { RetransSegs, ...others } = failures;
    for (const [what, count] of Object.entries(others)) t.equal(count, 0, what);
    // The guest itself may stand still for longer than TCP waits.
    t.ok(RetransSegs! <= requests / 1000, `${RetransSegs} segments were sent twice`);
  },
);
