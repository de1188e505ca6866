import t from 'tap';
import { edgeWanted, withEdge } from '../../../src/core/url/edge.ts';
import { agentDesiredSchema } from '../../../src/schema.ts';

const vip = '192.0.2.100';
const rules = [{ match: { extensions: ['jpg'] }, to: 'real-servers' }];
const edge = { rules, otherwise: 'director', origin: '192.0.2.10:8080' };
const desired = (more: object = {}) =>
  agentDesiredSchema.parse({
    revision: 1,
    vips: [
      { vip, address: '192.0.2.11', ports: ['80/tcp', '443/tcp'], edge: { '443/tcp': { ...edge, ...more } } },
      { vip: '192.0.2.101', address: '192.0.2.11', ports: ['80/tcp'] },
    ],
  });
const consent = { root: '/srv', cache: '/var', origins: ['192.0.2.10/32'] };

t.test('what the operator of a host has not allowed is refused in words', async (t) => {
  const why = (more: object, allowed: Parameters<typeof edgeWanted>[1]) =>
    edgeWanted(desired(more), allowed).refused.get(`${vip} 443/tcp`);
  t.match(why({}, undefined), /set "edge" in its config/);
  t.match(why({ origin: '192.0.2.1:80' }, consent), /192\.0\.2\.1 is not an address of this agent's controller/);
  t.match(why({ origin: '[2001:db8::1]:80' }, consent), /edge\.origins/);
  t.match(why({ tls: true }, consent), /"edge\.certificate" and "edge\.key"/);
  t.match(why({ tls: true }, { ...consent, certificate: '/a' }), /"edge\.certificate" and "edge\.key"/);
  t.equal(why({ tls: true }, { ...consent, certificate: '/a', key: '/b' }), undefined);
  t.match(edgeWanted(desired(), consent).services, [{ vip, port: 443, origin: '192.0.2.10:8080', generation: 0 }]);
});

t.test('what was found comes into the report, with what may go wrong one day', async (t) => {
  const report = { present: true, suppressed: true };
  const now = Date.parse('2026-01-01T00:00:00Z');
  const told = (found: object) =>
    withEdge(
      { [vip]: report, '192.0.2.101': report },
      new Map([[`${vip} 443/tcp`, found as { serving: boolean }]]),
      now,
    );
  t.strictSame(told({ serving: true }), {
    [vip]: { ...report, edge: { '443/tcp': { serving: true } } },
    '192.0.2.101': report,
  });
  const warnings = (found: object) => told(found)[vip]?.warnings ?? [];
  t.strictSame(warnings({ serving: true, problem: 'x' }), ['its web server answers 443/tcp by older rules: x']);
  t.strictSame(warnings({ serving: false, problem: 'x' }), [], 'that is no warning: it takes no traffic');
  t.strictSame(warnings({ serving: true, originProblem: 'x' }), ['x']);
  t.strictSame(warnings({ serving: false, originProblem: 'x' }), []);
  t.strictSame(warnings({ serving: true, certificateExpires: '2026-03-01T00:00:00Z' }), []);
  t.match(warnings({ serving: true, certificateExpires: '2026-01-06T12:00:00Z' }), [
    /^the certificate of 443\/tcp expires in 5 days/,
  ]);
  t.match(warnings({ serving: true, certificateExpires: '2025-12-31T00:00:00Z' }), [/has expired/]);
  const before = withEdge(
    { [vip]: { ...report, warnings: ['a'] } },
    new Map([[`${vip} 80/tcp`, { serving: true, problem: 'x' }]]),
    now,
  );
  t.match(before[vip]?.warnings, ['a', /older rules/]);
});
