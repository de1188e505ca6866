import t, { type Test } from 'tap';
import { type CheckInput, probe, serve } from './probing.ts';

type Type = 'smtp' | 'imap' | 'pop3' | 'ftp';

async function greet(t: Test, type: Type, pieces: string[], more: Partial<CheckInput> = {}) {
  let heard = '';
  let port = 0;
  const left = new Promise<void>((resolve) => {
    const accept = serve(t, async (socket) => {
      socket.on('data', (chunk) => {
        heard += chunk.toString();
      });
      socket.on('close', () => resolve());
      for (const piece of pieces) {
        socket.write(piece);
        await new Promise((next) => setTimeout(next, 5));
      }
    });
    accept.then((number) => {
      port = number;
    });
  });
  while (port === 0) await new Promise(setImmediate);
  const outcome = await probe(t, port, { type, ...more } as CheckInput);
  await left;
  return { ...outcome, heard };
}

t.test('good greetings, of one line or of several', async (t) => {
  const good = async (type: Type, pieces: string[], said: string, bye: string) =>
    t.strictSame(await greet(t, type, pieces), { kind: 'ok', words: `answered "${said}"`, heard: bye });
  await good('smtp', ['220 mail.example.com ESMTP\r\n'], '220', 'QUIT\r\n');
  await good('smtp', ['220-mail.example.com\r\n', '220-waits\r\n22', '0 ready\r\n'], '220', 'QUIT\r\n');
  await good('smtp', ['220\r\n'], '220', 'QUIT\r\n');
  await good('ftp', ['220-Welcome\n', ' any text\n220 yes\n'], '220', 'QUIT\r\n');
  await good('imap', ['* OK [CAPABILITY IMAP4rev1] ready\r\n'], '* OK', 'a LOGOUT\r\n');
  await good('imap', ['* PREAUTH hello\r\n'], '* PREAUTH', 'a LOGOUT\r\n');
  await good('pop3', ['+', 'OK ready\r\n'], '+OK', 'QUIT\r\n');
});

t.test('greetings that are not the wanted ones', async (t) => {
  const bad = async (type: Type, pieces: string[], words: string) =>
    t.strictSame(await greet(t, type, pieces), { kind: 'wrong', words, heard: '' });
  await bad('smtp', ['421 too busy\r\n'], 'wanted an SMTP greeting, "220 …"; answered "421 too busy"');
  await bad('smtp', ['554-no\r\n554 service\r\n'], 'wanted an SMTP greeting, "220 …"; answered "554-no"');
  await bad('smtp', ['2200 no\r\n'], 'wanted an SMTP greeting, "220 …"; answered "2200 no"');
  await bad('ftp', ['SSH-2.0-x\r\n'], 'wanted an FTP greeting, "220 …"; answered "SSH-2.0-x"');
  await bad('imap', ['* BYE down\r\n'], 'wanted an IMAP greeting, "* OK …"; answered "* BYE down"');
  await bad('imap', ['* OKAY\r\n'], 'wanted an IMAP greeting, "* OK …"; answered "* OKAY"');
  await bad('pop3', ['-ERR down\r\n'], 'wanted a POP3 greeting, "+OK …"; answered "-ERR down"');
});

t.test('a greeting that never ends is read for 8 KiB and no further', async (t) => {
  t.match(await greet(t, 'pop3', ['+OK', 'x'.repeat(9000)]), { kind: 'wrong' });
  t.match(await greet(t, 'smtp', ['220-x\r\n'.repeat(1300)]), { kind: 'wrong' });
});

t.test('a connection that is closed without a greeting, or silent', async (t) => {
  const port = await serve(t, (socket) => socket.end());
  t.match(await probe(t, port, { type: 'smtp' }), {
    kind: 'wrong',
    words: /closes it without a greeting; wanted an SMTP/,
  });
  t.match(await greet(t, 'imap', [], { timeoutMs: 40 }), { kind: 'timeout', words: /no answer comes within 40 ms$/ });
  t.match(await greet(t, 'smtp', ['220-wait\r\n'], { timeoutMs: 40 }), { kind: 'timeout', words: /begins to answer/ });
});
