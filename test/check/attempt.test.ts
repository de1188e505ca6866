import t from 'tap';
import { explain } from '../../src/check/attempt.ts';
import { plainCheck } from '../../src/check-schema.ts';
import type { Outcome } from '../../src/core/health.ts';

const sources = { ipv4: '169.254.7.9', ipv6: 'fd00::7' };
const v4 = { vip: '192.0.2.100', address: '192.0.2.12', port: 80, protocol: 'tcp', check: plainCheck } as const;
const v6 = { ...v4, vip: '2001:db8::100', address: '2001:db8::12', check: { ...plainCheck, port: 81 } } as const;
const timeout: Outcome = { kind: 'timeout', words: 'no answer' };
const unreachable: Outcome = { kind: 'unreachable', words: 'no route to host' };

t.test('a host that does not answer ARP is unreachable, however the probe ended', async (t) => {
  const words =
    '192.0.2.12 does not answer ARP: the host is down, its cable is out, or it is on another network segment';
  t.strictSame(explain(v4, timeout, false, sources), { kind: 'unreachable', words });
  t.strictSame(explain(v4, unreachable, false, sources), { kind: 'unreachable', words });
  t.match(explain(v6, timeout, false, sources).words, /2001:db8::12 does not answer neighbor solicitations/);
});

t.test('one that does lacks the VIP, or the way back', async (t) => {
  t.strictSame(explain(v6, timeout, true, sources), {
    kind: 'timeout',
    words:
      "[2001:db8::100]:81 does not answer in 500 ms although 2001:db8::12 answers neighbor solicitations: the VIP is missing on that server, a firewall drops, or it has no route back to the prober's address fd00::7",
  });
  t.match(explain(v4, unreachable, true, sources), { kind: 'unreachable', words: /a firewall there rejects/ });
});

t.test('without knowing, the outcome stays as it is', async (t) => {
  t.equal(explain(v4, timeout, undefined, sources), timeout);
});
