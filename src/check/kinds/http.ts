import { request as httpRequest, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Check } from '../../check-schema.ts';
import { familyOf } from '../../core/address.ts';
import type { Outcome } from '../../core/health.ts';
import type { Kind, Probe } from '../open.ts';
import { outcomeOf, readError } from './faults.ts';
import { fits, soughtBy } from './match.ts';
import { latin1, ok, quote, wrong } from './outcomes.ts';
import { untilAborted, withStream } from './stream.ts';
import { type HttpsCheck, secure } from './tls.ts';

export type HttpCheck = Extract<Check, { type: 'http' }>;

/** The body is read no further. */
const MAX_BODY = 65_536;

/** One request over a connection of its own. */
export const http: Kind<HttpCheck | HttpsCheck> = (probe) =>
  withStream(probe, async (raw) => {
    const { check } = probe;
    if (check.type === 'http') return exchange(probe, raw);
    const { socket, shown, failure } = await secure(probe, check, raw);
    try {
      return { ...(failure ?? (await exchange(probe, socket))), ...shown };
    } finally {
      socket.destroy();
    }
  });

async function exchange(probe: Probe<HttpCheck | HttpsCheck>, socket: Duplex): Promise<Outcome> {
  const { check, signal } = probe;
  let begun = false;
  try {
    return await untilAborted<Outcome>(signal, (resolve, reject) => {
      const answered = (response: IncomingMessage) => {
        begun = true;
        response.on('error', reject);
        const outcome = judgeHead(check, response);
        if (outcome || !check.body) resolve(outcome ?? ok(`answered ${response.statusCode}`));
        else readBody(check.body, response, resolve);
      };
      // Without an agent, as it comes with its connection.
      httpRequest({
        createConnection: () => socket,
        method: check.method,
        path: check.path,
        setHost: false,
        headers: headersOf(probe),
      })
        .on('error', reject)
        .on('response', answered)
        .on('upgrade', answered)
        .end();
    });
  } catch (error) {
    const { code } = readError(error);
    if (code.startsWith('HPE_')) return wrong(malformation(error, code));
    return outcomeOf(error, probe, begun ? 'rest' : 'answer');
  }
}

function headersOf({ check, vip, port }: Probe<HttpCheck | HttpsCheck>): Record<string, string> {
  const usual = check.type === 'http' ? 80 : 443;
  const name = familyOf(vip) === 'ipv6' ? `[${vip}]` : vip;
  return {
    Host: check.host ?? (port === usual ? name : `${name}:${port}`),
    'User-Agent': 'dsr-controller',
    Accept: '*/*',
    // A body can only be searched as it is.
    'Accept-Encoding': 'identity',
    Connection: 'close',
  };
}

/** Undefined when status and header are as wanted. */
function judgeHead({ status, header }: HttpCheck | HttpsCheck, response: IncomingMessage): Outcome | undefined {
  const code = response.statusCode ?? 0;
  if (!status.some((range) => isIn(range, code))) {
    const [to] = code >= 300 && code < 400 ? valuesOf(response, 'location') : [];
    const where = to === undefined ? '' : ` (to ${quote(to)})`;
    return wrong(`answered ${code}${where}, wanted ${status.join(' or ')}`);
  }
  if (!header) return undefined;
  const values = valuesOf(response, header.name);
  const { value } = header;
  const [first] = values;
  if (first === undefined) return wrong(`answered ${code} without the header ${header.name}`);
  if (!value || values.some((text) => fits(value, text))) return undefined;
  return wrong(`answered ${code}, but no ${soughtBy(value)} in the header ${header.name}, which is ${quote(first)}`);
}

function isIn(range: number | string, code: number): boolean {
  if (typeof range === 'number') return range === code;
  return Number(range.slice(0, 3)) <= code && code <= Number(range.slice(4));
}

/** Each one by itself, also those that Node drops or joins. */
function valuesOf({ rawHeaders }: IncomingMessage, name: string): string[] {
  const wanted = name.toLowerCase();
  return rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === wanted);
}

/** Looks for text as soon as it comes, for an expression in what has come at the end; the body is taken for UTF-8. */
function readBody(
  wanted: NonNullable<HttpCheck['body']>,
  response: IncomingMessage,
  resolve: (outcome: Outcome) => void,
): void {
  let body: Buffer = Buffer.alloc(0);
  const code = response.statusCode;
  const judge = (last: boolean) => {
    const text = body.toString('utf8', 0, Math.min(body.length, MAX_BODY));
    if ((last || 'contains' in wanted) && fits(wanted, text)) resolve(ok(`answered ${code}`));
    else if (last) resolve(wrong(`answered ${code}, but no ${soughtBy(wanted)} in its body, which ${beginning(text)}`));
  };
  response.on('data', (chunk: Buffer) => {
    body = body.length === 0 ? chunk : Buffer.concat([body, chunk]);
    if (body.length >= MAX_BODY) response.pause();
    judge(body.length >= MAX_BODY);
  });
  response.on('end', () => judge(true));
}

const beginning = (text: string): string => (text === '' ? 'is empty' : `begins ${quote(text)}`);

/** What the parser makes of an answer that is not HTTP (llhttp, HPE_*). */
function malformation(error: unknown, code: string): string {
  if (code === 'HPE_HEADER_OVERFLOW') return 'answered with more than 16 KiB of headers';
  const raw = error instanceof Error && 'rawPacket' in error ? error.rawPacket : undefined;
  const began = raw instanceof Uint8Array ? `: ${quote(latin1(raw, 80), 40)}` : '';
  return `answered what is not HTTP (${readError(error).message.replace(/^Parse Error: /, '')})${began}`;
}
