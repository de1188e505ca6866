import t from 'tap';
import { readConntrack } from '../../../src/kernel/doctor/conntrack.ts';

t.test('connection tracking is as its two sysctls say, or not loaded', async (t) => {
  const of = (values: Record<string, string>) => readConntrack((key) => values[key.replace(/.*nf_conntrack_/, '')]);
  t.strictSame(of({ count: '7', max: '65536' }), { count: 7, max: 65_536 });
  t.equal(of({}), undefined);
  t.equal(of({ count: '7' }), undefined);
});
