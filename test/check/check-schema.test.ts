import t from 'tap';
import { checkSchema, plainCheck } from '../../src/check-schema.ts';

const messages = (check: object) => {
  const { error } = checkSchema.safeParse(check);
  return error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`) ?? [];
};
const good = (check: object) => messages(check).length === 0;

t.test('a check is a plain connection unless it says otherwise', async (t) => {
  t.match(plainCheck, { type: 'tcp', intervalMs: 1000, timeoutMs: 500, rise: 2, fall: 3 });
});

t.test('an answer to HEAD has no body to look into', async (t) => {
  const body = { contains: 'ok' };
  t.ok(good({ type: 'http', body }));
  t.ok(good({ type: 'http', method: 'HEAD' }));
  t.strictSame(messages({ type: 'https', method: 'HEAD', body }), [
    'body: an answer to HEAD has no body: use GET, or leave "body" out',
  ]);
});

t.test('a range of statuses goes upwards', async (t) => {
  for (const status of [[200], ['200-299'], ['200-200', 404]]) t.ok(good({ type: 'http', status }), String(status));
  for (const status of [[], ['299-200'], ['200-600'], [99]]) t.notOk(good({ type: 'http', status }), String(status));
});

t.test('a name has labels that DNS can carry', async (t) => {
  const long = 'x'.repeat(63);
  for (const name of ['.', 'a', 'example.com', 'example.com.', '_sip._tcp.example.com', `${long}.com`])
    t.ok(good({ type: 'dns', name }), name);
  for (const name of ['', '..', '.a', 'a..b', `${long}x.com`, 'a b', 'ü']) t.notOk(good({ type: 'dns', name }), name);
});

t.test('the name of a TLS handshake is no address', async (t) => {
  t.ok(good({ type: 'https', sni: 'www.example.com' }));
  for (const sni of ['192.0.2.100', '2001:db8::1', 'www.example.com:443', 'www.example.com.'])
    t.notOk(good({ type: 'https', sni }), sni);
  t.match(messages({ type: 'https', sni: '192.0.2.100' }), [/^sni: sni is a name, not an address/]);
});

t.test('bytes are counted as they are sent', async (t) => {
  t.ok(good({ type: 'udp', payload: { text: 'x'.repeat(1400) } }));
  t.notOk(good({ type: 'udp', payload: { text: 'ü'.repeat(701) } }));
  t.ok(good({ type: 'udp', payload: { hex: '' }, reply: { matches: '^a+$' } }));
  t.notOk(good({ type: 'udp', payload: { hex: '0' } }));
});

t.test('an expression that RE2 does not have is refused with the reason', async (t) => {
  t.notOk(good({ type: 'http', body: { matches: '(?=a)' } }));
  t.notOk(good({ type: 'http', body: { matches: '(' } }));
});
