import t from 'tap';
import type { Attestation } from '../../src/core/agents.ts';
import type { Drain } from '../../src/core/state.ts';
import { standingOf } from '../../src/core/weight.ts';
import { realServerSchema } from '../../src/schema.ts';

const server = (more: object = {}) => realServerSchema.parse({ address: '192.0.2.11', ...more });
const fit: Attestation = { verdict: 'fit', reason: 'all is well' };
const drain = (done: boolean) => ({ done }) as Drain;

t.test('an active real server that its agent reports fit has the weight that was asked for', async (t) => {
  for (const weight of [1, 100, 65535])
    t.match(standingOf(server({ weight }), fit, undefined), {
      weight,
      serving: true,
      well: true,
      reason: 'in service: all is well',
    });
});

t.test('a drain that is left over never holds an active real server at weight 0', async (t) => {
  t.match(standingOf(server(), fit, drain(false)), { weight: 100, serving: true });
  t.match(standingOf(server(), fit, drain(true)), { weight: 100, serving: true });
});

t.test('an unfit or unknown real server has weight 0, is not well, and the agent says why', async (t) => {
  for (const verdict of ['unfit', 'unknown'] as const)
    t.strictSame(standingOf(server(), { verdict, reason: 'because' }, undefined), {
      weight: 0,
      serving: false,
      well: false,
      reason: 'because',
    });
});

t.test('weight 0 in the pool is nobody’s fault, and says how to end it', async (t) => {
  t.match(standingOf(server({ weight: 0 }), fit, undefined), {
    weight: 0,
    serving: false,
    well: true,
    reason: /weight is 0/,
  });
});

t.test('drain and maintenance are weight 0 and well, whatever the agent says', async (t) => {
  for (const state of ['drain', 'maintenance'] as const)
    for (const attestation of [fit, { verdict: 'unknown', reason: 'because' } as const]) {
      const standing = standingOf(server({ state }), attestation, undefined);
      t.match(standing, { weight: 0, serving: false, well: true, reason: `${state}: out of service` });
      t.match(standing.reason, /set state to "active"/);
    }
});

t.test('while a drain goes on, the reason says that established connections go on', async (t) => {
  const reason = (done: boolean) => standingOf(server({ state: 'drain' }), fit, drain(done)).reason;
  t.match(reason(false), /the established ones go on/);
  t.match(reason(true), /out of service/);
});
