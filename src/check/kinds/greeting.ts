import type { Check } from '../../check-schema.ts';
import type { Kind } from '../open.ts';
import { latin1, ok, quote, wrong } from './outcomes.ts';
import { collect, withStream } from './stream.ts';

export type GreetingCheck = Extract<Check, { type: 'smtp' | 'imap' | 'pop3' | 'ftp' }>;

interface Protocol {
  /** What a whole good greeting begins with. */
  good: RegExp;
  /** A whole greeting, good or not. */
  whole: RegExp;
  wanted: string;
  bye: string;
}

/** Lines "220-text" may come before the last, "220 text" (RFC 5321 section 4.2, RFC 959 section 4.2). */
const replyCode = {
  good: /^220(?:-[^\n]*\n(?:[^\n]*\n)*?220)?(?: [^\n]*|\r?)\n/,
  whole: /^(?!\d{3}-)[^\n]*\n|^(\d{3})-[^\n]*\n(?:[^\n]*\n)*?\1(?: [^\n]*|\r?)\n/,
  bye: 'QUIT\r\n',
};
const line = /^[^\n]*\n/;

const protocols: Readonly<Record<GreetingCheck['type'], Protocol>> = {
  smtp: { ...replyCode, wanted: 'an SMTP greeting, "220 …"' },
  ftp: { ...replyCode, wanted: 'an FTP greeting, "220 …"' },
  // RFC 9051 section 7.1; letters of either case (section 9).
  imap: { good: /^\* (?:OK|PREAUTH)[ \r\n]/i, whole: line, wanted: 'an IMAP greeting, "* OK …"', bye: 'a LOGOUT\r\n' },
  // RFC 1939 sections 3 and 4.
  pop3: { good: /^\+OK[ \r\n]/, whole: line, wanted: 'a POP3 greeting, "+OK …"', bye: 'QUIT\r\n' },
}; // biome-ignore format: short

const MAX_GREETING = 8192;

/** Waits for the greeting of a mail or FTP server, and takes leave when it is good. */
export const greeting: Kind<GreetingCheck> = (probe) =>
  withStream(probe, async (socket) => {
    const { good, whole, wanted, bye } = protocols[probe.check.type];
    const bytes = await collect(socket, probe.signal, MAX_GREETING, (soFar) => whole.test(latin1(soFar)));
    const text = latin1(bytes, MAX_GREETING);
    if (good.test(text)) {
      socket.end(bye);
      return ok(`answered ${quote(/^(?:\* )?[+\w]+/.exec(text)?.[0] ?? '')}`);
    }
    if (text === '') return wrong(`takes a connection, but closes it without a greeting; wanted ${wanted}`);
    return wrong(`wanted ${wanted}; answered ${quote(text.replace(/\r?\n[\s\S]*$/, ''))}`);
  });
