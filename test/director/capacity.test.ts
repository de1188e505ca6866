import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { dayOf } from '../../src/core/capacity/peaks.ts';
import { emptyState } from '../../src/core/state.ts';
import { type CardRate, trafficView } from '../../src/core/traffic.ts';
import { startCapacity } from '../../src/director/capacity.ts';
import type { Pass } from '../../src/director/reconcile.ts';
import { createSignal, until } from '../../src/loop.ts';
import { poolsSchema } from '../../src/schema.ts';
import { openPeaks } from '../../src/store/state.ts';

const dayMs = 86_400_000;
const noon = 20_000 * dayMs + dayMs / 2;
const pools = poolsSchema.parse({
  web: {
    vip: '192.0.2.100',
    ports: { '80/tcp': { policy: 'real-servers' } },
    realServers: { rs1: { address: '192.0.2.11' }, own: { address: '192.0.2.10' } },
  },
});
const standing = { weight: 100, serving: true, well: true, reason: '' };
const rate = (txMbit: number): CardRate => ({
  interface: 'eth0',
  speedMbit: 100,
  rxMbit: 0,
  txMbit,
  rxPacketsPerSecond: 0,
  txPacketsPerSecond: 0,
  lostPerSecond: 0,
  loadPercent: txMbit,
  fuller: 'tx',
  ageMs: 0,
});

/** A book over this folder, whose time passes as the test says: so much with each question. */
function start(t: Test, folder: string, minuteMs = 60_000) {
  let now = 0;
  const looked = createSignal();
  const told: string[] = [];
  const cards = new Map([['rs1', rate(30)]]);
  const book = startCapacity(
    {
      traffic: {
        facts: () => ({ view: trafficView(rate(40), cards, []), services: new Map(), cards, connections: new Map() }),
      },
      director: {
        last: () => {
          looked.notify();
          return {
            standings: new Map([
              [
                'web',
                {
                  ports: new Map(),
                  realServers: new Map(Object.keys(pools.web?.realServers ?? {}).map((name) => [name, standing])),
                },
              ],
            ]),
            look: { addresses: [{ address: '192.0.2.10' }] },
          } as unknown as Pass;
        },
      },
      state: { get: () => ({ ...emptyState(), pools: { web: { revision: 1, pool: pools.web! } } }) },
      peaks: openPeaks(folder, (words) => told.push(words)),
      log: { warn: (_, message) => told.push(message) },
    },
    {
      wall: () => noon,
      steady: () => {
        now += minuteMs;
        return now;
      },
    },
  );
  t.teardown(book.stop);
  const peak = () => book.facts().pasts.get('web')?.peak;
  return {
    book,
    looked,
    told,
    peak,
    known: () => until(looked, () => (peak()?.minutes ?? 0) > 0 || undefined, 20_000),
  };
}

const kept = (folder: string) => JSON.parse(readFileSync(join(folder, 'capacity.json'), 'utf8'));

t.test('each minute the day’s peak is looked at, and kept over a restart', async (t) => {
  const folder = t.testdir({});
  const { book, known, peak } = start(t, folder);
  t.ok(await known());
  t.match(peak(), { day: 20_000, mbit: 60, minutes: Number });
  t.match(
    [...book.facts().cards],
    [
      ['rs1', { speedMbit: 100, txMbit: 30 }],
      ['', { txMbit: 40 }],
    ],
  );
  await book.stop();
  t.match(kept(folder), { version: 1, pools: { web: [{ day: 20_000, mbit: 60 }] } });
  const again = start(t, folder, 0);
  t.match(again.peak(), { day: 20_000, mbit: 60 }, 'before its first look');
});

t.test('while it runs the file is written now and then', async (t) => {
  const folder = t.testdir({});
  const { known, book, looked } = start(t, folder, 16 * 60_000);
  t.ok(await known());
  t.ok(await until(looked, () => readdirSync(folder).includes('capacity.json') || undefined, 20_000));
  t.match(kept(folder), { pools: { web: [{ day: dayOf(noon) }] } });
  await book.stop();
});

t.test(
  'a file that cannot be understood, or is of a newer version, is put aside, and days are counted anew',
  async (t) => {
    for (const text of ['{', '{"version":99,"pools":{}}', '{"version":1,"pools":{"web":[{"day":-1}]}}']) {
      const folder = t.testdir({ 'capacity.json': text });
      const { book, told, known } = start(t, folder);
      t.match(told, [/capacity\.json cannot be understood: it is .*capacity\.json\.bad now/]);
      t.equal(readFileSync(join(folder, 'capacity.json.bad'), 'utf8'), text);
      t.ok(await known());
      await book.stop();
      t.match(kept(folder), { version: 1 });
    }
  },
);

t.test('a disk that is full is told once, and what is known stays known', async (t) => {
  const folder = t.testdir({});
  const { book, told, known } = start(t, join(folder, 'state'), 16 * 60_000);
  writeFileSync(join(folder, 'state'), 'no folder');
  t.ok(await known());
  await book.stop();
  t.match(told, [/^how busy the days are cannot be kept/, /^how busy the days were is lost/]);
  t.match(book.facts().pasts.get('web')?.peak, { mbit: 60 });
});
