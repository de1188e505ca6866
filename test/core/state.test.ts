import t from 'tap';
import { emptyLedger, emptyState, poolsOf } from '../../src/core/state.ts';
import { poolSchema } from '../../src/schema.ts';

t.test('a state begins with no pools, no drains and nothing owned', async (t) => {
  t.strictSame(emptyState(), { revision: 0, pools: {}, drains: [], purges: {}, probers: [], ledger: emptyLedger('') });
  t.not(emptyState().ledger, emptyState().ledger, 'nothing is shared between two of them');
});

t.test('the pools of a state are those that users wrote, without their revisions', async (t) => {
  const pool = poolSchema.parse({ vip: '192.0.2.100', ports: { '80/tcp': { policy: 'real-servers' } } });
  t.strictSame(poolsOf({ ...emptyState(), pools: { web: { revision: 7, pool } } }), { web: pool });
});
