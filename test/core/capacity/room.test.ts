import t from 'tap';
import { ownCard } from '../../../src/core/capacity/rates.ts';
import { carriedBy, type Member, membersOf, roomOf } from '../../../src/core/capacity/room.ts';
import { type Pool, poolsSchema } from '../../../src/schema.ts';

const member = (name: string, more: Partial<Member> = {}): Member => ({
  name,
  weight: 100,
  speedMbit: 100,
  txMbit: 10,
  ownMbit: 0,
  usualMbit: 10,
  isLocal: false,
  ...more,
});

t.test('the members are those in service; of the director’s card the pool has what its weight says', async (t) => {
  const { web } = poolsSchema.parse({
    web: {
      vip: '192.0.2.100',
      ports: { '80/tcp': { policy: 'real-servers' } },
      realServers: {
        rs1: { address: '192.0.2.11' },
        rs2: { address: '192.0.2.12' },
        own: { address: '192.0.2.10' },
        none: { address: '192.0.2.13', weight: 0 },
        unseen: { address: '192.0.2.14' },
      },
    },
  });
  const standing = (weight: number) => ({ weight, serving: weight > 0, well: true, reason: '' });
  const standings = {
    ports: new Map(),
    realServers: new Map([
      ['rs1', standing(100)],
      ['rs2', standing(0)],
      ['own', standing(50)],
      ['none', standing(1)],
    ]),
  };
  const cards = new Map([
    ['rs1', { speedMbit: 100, txMbit: 40, usualMbit: 30 }],
    [ownCard, { speedMbit: 1000, txMbit: 90, usualMbit: 80 }],
  ]);
  const local = new Set(['192.0.2.10']);
  const members = membersOf(web as Pool, standings, cards, local);
  t.match(members, [
    { name: 'rs1', txMbit: 40, ownMbit: 0, usualMbit: 30 },
    { name: 'own', speedMbit: 1000, txMbit: 90, ownMbit: 70, usualMbit: 15 },
  ]);
  t.equal(carriedBy(members), 60);
  t.strictSame(membersOf(web as Pool, undefined, cards, local), []);
  cards.set(ownCard, { speedMbit: 1000, txMbit: null as unknown as number, usualMbit: 5 });
  t.match(membersOf(web as Pool, standings, cards, local)[1], { txMbit: null, ownMbit: 0, usualMbit: 5 });
  cards.delete('rs1');
  t.match(membersOf(web as Pool, standings, cards, local), [
    { name: 'rs1', speedMbit: null, txMbit: null, usualMbit: 0 },
    { name: 'own', ownMbit: 0 },
  ]);
  t.equal(carriedBy([member('a', { txMbit: null }), member('b', { txMbit: 5, ownMbit: 9 })]), 0);
});

t.test('how much that is, whose card is full first, and who carries most', async (t) => {
  const two = [member('a', { usualMbit: 10 }), member('b', { usualMbit: 30, speedMbit: 200 })];
  t.strictSame(roomOf('weights', two), { capacityMbit: 800 / 3, first: 'b', largest: 'b' });
  t.strictSame(roomOf('headroom', two), { capacityMbit: 300, first: 'b', largest: 'b' });
  const quiet = two.map((of) => ({ ...of, usualMbit: 1 }));
  t.strictSame(roomOf('weights', quiet), { capacityMbit: 200, first: 'a', largest: 'a' });
  const full = [member('a', { usualMbit: 10 }), member('b', { ownMbit: 120 })];
  t.strictSame(roomOf('weights', full), { capacityMbit: 0, first: 'b', largest: 'a' });
  for (const balance of ['weights', 'headroom'] as const) {
    t.equal(roomOf(balance, []), undefined);
    t.equal(roomOf(balance, [member('a'), member('b', { speedMbit: null })]), undefined);
  }
});
