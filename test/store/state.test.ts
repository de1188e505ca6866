import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import { emptyState } from '../../src/core/state.ts';
import { openAgents, openState } from '../../src/store/state.ts';
import { agentsArb, worldArb } from '../arbitraries.ts';
import { historyArb, live } from '../core/history.ts';
import { createSite, prepare } from '../core/site.ts';
import { holds } from '../property.ts';

t.test('a new host begins with an empty state and no known agents', async (t) => {
  const folder = t.testdir({});
  t.strictSame(openState(folder).get(), emptyState());
  t.strictSame(openAgents(folder).get(), { agents: {} });
  t.strictSame(readdirSync(folder), []);
});

t.test('a pool that this version does not understand is named', async (t) => {
  const pool = { vip: '192.0.2.100', ports: { '80/tcp': { policy: 'real-servers', scheduler: 'fair' } } };
  const state = { version: 1, ...emptyState(), pools: { web: { revision: 1, pool } } };
  const folder = t.testdir({ 'state.json': JSON.stringify(state) });
  t.throws(() => openState(folder), {
    code: 'STATE_CORRUPT',
    message: /state\.json is damaged \(pools\.web\.pool\.ports\.80\/tcp\.scheduler: the schedulers are rr, /,
  });
  t.equal(readFileSync(join(folder, 'state.json'), 'utf8'), JSON.stringify(state));
});

const folder = t.testdir({});

holds(
  t,
  'a state comes back from its file as it was: pools, drains, and what the kernel had before',
  fc.asyncProperty(worldArb, historyArb, fc.uuid(), async (world, history, name) => {
    const site = createSite({ world });
    live(site, history);
    prepare(site);
    const told: unknown[] = [];
    await openState(join(folder, name), (state) => told.push(state)).change(() => site.state);
    return told[0] === site.state && isDeepStrictEqual(openState(join(folder, name)).get(), site.state);
  }),
  30,
);

holds(
  t,
  'what agents last said comes back from its file as it was',
  fc.asyncProperty(agentsArb, fc.uuid(), async (known, name) => {
    const agents = Object.fromEntries([...known].map(([agent, { report }]) => [agent, report]));
    await openAgents(join(folder, name)).change(() => ({ agents }));
    return isDeepStrictEqual(openAgents(join(folder, name)).get(), { agents });
  }),
  30,
);
