import fc from 'fast-check';
import t from 'tap';
import { outcomeOf, type Phase } from '../../../src/check/kinds/faults.ts';
import { probeOnce } from '../../../src/check/kinds/index.ts';
import { plainCheck } from '../../../src/check-schema.ts';
import { holds } from '../../property.ts';
import { openLoopback } from '../open.ts';

const about = { vip: '192.0.2.100', port: 80, protocol: 'tcp' as const, check: plainCheck };
const failure = (code: string) => Object.assign(new Error(`connect ${code}`), { code });
const outcome = (error: unknown, vip = about.vip, phase: Phase = 'connect') =>
  outcomeOf(error, { ...about, vip, signal: new AbortController().signal }, phase);

t.test('each failure of a connection has its kind', async (t) => {
  const kinds = {
    refused: ['ECONNREFUSED'],
    unreachable: ['EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'ENONET', 'ENOPROTOOPT'],
    timeout: ['ETIMEDOUT'],
    wrong: ['ECONNRESET', 'EPIPE', 'ECONNABORTED', 'EPROTO', 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED'],
    broken: ['EPERM', 'EACCES', 'EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EADDRNOTAVAIL', 'EAGAIN', 'ENETDOWN'],
  };
  for (const [kind, codes] of Object.entries(kinds))
    for (const code of codes) t.match(outcome(failure(code)), { kind }, code);
});

t.test('a firewall says over IPv6 what it cannot say over IPv4', async (t) => {
  t.match(outcome(failure('EACCES'), '2001:db8::1'), {
    kind: 'unreachable',
    words: '[2001:db8::1]:80 is unreachable: a router or firewall prohibits it',
  });
  t.match(outcome(failure('EHOSTUNREACH'), '2001:db8::1'), { words: /neighbour discovery/ });
  t.match(outcome(failure('EHOSTUNREACH')), { words: /ARP/ });
});

t.test('the check itself that fails says why', async (t) => {
  t.strictSame(outcome(failure('EMFILE')), {
    kind: 'broken',
    words: 'the check itself could not be made: connect EMFILE',
  });
});

t.test('an abort counts as one only when the signal is aborted', async (t) => {
  const abort = new DOMException('This operation was aborted', 'AbortError');
  t.match(outcome(abort), { kind: 'broken' });
  t.match(outcomeOf(abort, { ...about, signal: AbortSignal.abort() }, 'answer'), { kind: 'timeout' });
  t.match(outcomeOf('gone', { ...about, signal: AbortSignal.abort('gone') }, 'answer'), { kind: 'timeout' });
  t.match(outcomeOf(failure('ECONNREFUSED'), { ...about, signal: AbortSignal.abort() }, 'connect'), {
    kind: 'refused',
  });
});

holds(
  t,
  'whatever is thrown becomes an outcome with words that can be shown',
  fc.asyncProperty(
    fc.oneof(
      fc.anything(),
      fc.string().map((text) => new Error(text)),
    ),
    async (thrown) => {
      const open = { ...openLoopback(), stream: () => Promise.reject(thrown) };
      const { kind, words } = await probeOnce({ ...about, open, programs: {}, signal: new AbortController().signal });
      return kind !== 'ok' && words.length <= 200 && !/\p{C}/u.test(words);
    },
  ),
);
