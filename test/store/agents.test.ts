import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type Report, reportSchema } from '../../src/schema.ts';
import { createAgentRegistry } from '../../src/store/agents.ts';
import { createEvents } from '../../src/store/events.ts';
import { openAgents } from '../../src/store/state.ts';
import { inMemory } from '../documents.ts';

const vip = '192.0.2.100';
const report = (more: Partial<Report> = {}): Report =>
  reportSchema.parse({
    protocol: 1,
    machineId: 'machine-1',
    bootId: 'boot-1',
    revision: 1,
    addresses: ['192.0.2.11'],
    vips: { [vip]: { present: true, suppressed: true } },
    ...more,
  });

function registry(t: Test, known?: string) {
  const saved = () => document.change((value) => value);
  // Before the folder goes.
  t.teardown(saved);
  const folder = known ?? t.testdir({});
  const events = createEvents(inMemory({ events: [] }), () => {});
  const document = openAgents(folder);
  const counts = { changed: 0 };
  let now = 1000;
  const agents = createAgentRegistry(
    document,
    events,
    () => counts.changed++,
    () => now,
  );
  return {
    agents,
    events,
    folder,
    counts,
    types: () => events.since().map(({ type }) => type),
    /** Resolves when all that was to be saved is on disk. */
    saved,
    later: (ms: number) => {
      now += ms;
    },
  };
}

t.test('the first report is an event, known at once, and on disk for the next start', async (t) => {
  const { agents, types, counts, saved, folder } = registry(t);
  agents.report('rs1', report());
  t.strictSame(agents.all().get('rs1'), { report: report(), lastReport: 1000 });
  t.strictSame(types(), ['agent-joined']);
  t.equal(counts.changed, 1);
  await saved();
  const after = registry(t, folder);
  t.strictSame(
    after.agents.all().get('rs1'),
    { report: report(), lastReport: null },
    'known, but silent since the start',
  );
});

t.test('the same report again is only a sign of life; problems and revision alone change no weight', async (t) => {
  const { agents, counts, later } = registry(t);
  agents.report('rs1', report());
  later(500);
  agents.report('rs1', report());
  agents.report('rs1', report({ revision: 2, problems: ['the disk is slow'] }));
  t.equal(counts.changed, 1);
  t.match(agents.all().get('rs1'), { lastReport: 1500, report: { revision: 2, problems: ['the disk is slow'] } });
});

t.test('whatever weights depend on wakes the reconciler and is saved', async (t) => {
  const { agents, counts, saved, folder } = registry(t);
  const changes: Partial<Report>[] = [
    { vips: { [vip]: { present: false, suppressed: true } } },
    { addresses: ['192.0.2.12'] },
    { bootId: 'boot-2' },
  ];
  agents.report('rs1', report());
  for (const [i, more] of changes.entries()) {
    agents.report('rs1', report(more));
    t.equal(counts.changed, i + 2, JSON.stringify(more));
    await saved();
    t.strictSame(openAgents(folder).get().agents.rs1, report(more));
  }
});

t.test('the speed of a card is kept for the next start; one that is not known any more is not', async (t) => {
  const { agents, counts, saved, folder } = registry(t);
  const counters = { rxBytes: 0, txBytes: 0, rxPackets: 0, txPackets: 0, rxLost: 0, txLost: 0, at: 1 };
  const card = (speedMbit: number | null) => ({ interface: 'eth0', mac: '02:00:00:00:00:01', speedMbit, ...counters });
  const speed = () => registry(t, folder).agents.all().get('rs1')?.speedMbit;
  agents.report('rs1', report({ card: card(100) }));
  agents.report('rs1', report({ card: { ...card(100), txBytes: 5 } }));
  t.equal(counts.changed, 1, 'bytes are no news');
  await saved();
  t.equal(speed(), 100);
  agents.report('rs1', report());
  agents.report('rs1', report({ card: card(1000) }));
  t.equal(counts.changed, 2);
  await saved();
  t.equal(speed(), 1000);
  agents.report('rs1', report({ card: card(null) }));
  await saved();
  t.equal(speed(), undefined);
});

t.test('the first report after a restart wakes the reconciler though it says nothing new', async (t) => {
  const before = registry(t);
  before.agents.report('rs1', report());
  await before.saved();
  const { agents, counts, types } = registry(t, before.folder);
  agents.report('rs1', report());
  t.equal(counts.changed, 1);
  t.strictSame(types(), [], 'it did not join anew');
});

t.test('another machine under a known name is refused with what to do, told once, and changes nothing', async (t) => {
  const { agents, counts, events, types } = registry(t);
  agents.report('rs1', report());
  const other = report({ machineId: 'machine-2', addresses: ['192.0.2.99'] });
  for (let i = 0; i < 3; i++)
    t.throws(() => agents.report('rs1', other), { code: 'AGENT_OTHER_MACHINE', message: /DELETE \/v1\/agents\/rs1/ });
  t.strictSame(types(), ['agent-joined', 'agent-refused']);
  t.match(events.since()[1], { agent: 'rs1', message: /from 192\.0\.2\.99; 192\.0\.2\.11 is known/ });
  t.equal(counts.changed, 1);
  t.match(agents.all().get('rs1'), { report: { machineId: 'machine-1' } });
  t.throws(() => agents.report('rs1', report({ machineId: 'machine-3', addresses: [] })), {
    message: /from no address/,
  });
  t.equal(types().length, 3, 'a third machine is news');
});

t.test('once it is forgotten, another machine may take the name; what nobody knows cannot be forgotten', async (t) => {
  const { agents, counts, types, folder } = registry(t);
  agents.report('rs1', report({ addresses: [] }));
  t.throws(() => agents.report('rs1', report({ machineId: 'machine-2' })), { message: /another is known/ });
  t.equal(await agents.forget('rs1'), true);
  t.equal(agents.all().size, 0);
  t.equal(counts.changed, 2);
  t.strictSame(openAgents(folder).get(), { agents: {} });
  t.equal(await agents.forget('rs1'), false);
  agents.report('rs1', report({ machineId: 'machine-2' }));
  t.strictSame(types(), ['agent-joined', 'agent-refused', 'agent-forgotten', 'agent-joined']);
});

t.test('a disk that takes nothing is an event; what agents say counts all the same', async (t) => {
  const { agents, types, counts, saved, folder } = registry(t);
  mkdirSync(join(folder, 'agents.json', 'in the way'), { recursive: true });
  agents.report('rs1', report());
  await saved();
  t.strictSame(types(), ['agent-joined', 'state-not-saved']);
  t.equal(counts.changed, 1);
  t.match(agents.all().get('rs1'), { lastReport: 1000 });
});
