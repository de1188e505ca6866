import fc from 'fast-check';
import t from 'tap';
import { newIn, untilText, whoText } from '../../../src/cli/view/access.ts';
import { holds } from '../../property.ts';

holds(
  t,
  'of a list that grows, what came since is told once and in order, whatever is kept of it',
  fc.property(fc.nat(30), fc.nat(30), fc.integer({ min: 1, max: 20 }), (before, more, kept) => {
    const all = Array.from({ length: before + more }, (_, i) => ({ i }));
    const seen = all.slice(0, before).slice(-20);
    const now = all.slice(-kept);
    const fresh = newIn(now, seen).map(({ i }) => i);
    const wanted = now.map(({ i }) => i).filter((i) => i >= before);
    return JSON.stringify(fresh) === JSON.stringify(wanted);
  }),
);

t.test('ends and callers are in words', async (t) => {
  t.equal(untilText(null), 'without an end');
  t.equal(untilText('2026-05-01T12:30:00.123Z'), 'until 2026-05-01 12:30:00Z');
  t.equal(whoText({ kind: 'key', role: 'admin', name: 'me' }), 'administrator "me"');
  t.equal(whoText({ kind: 'key', role: 'viewer', name: 'grafana' }), 'viewer "grafana"');
  t.equal(whoText({ kind: 'root', role: null, name: null }), 'root');
});
