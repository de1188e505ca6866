import { setMaxListeners } from 'node:events';
import type { Readable } from 'node:stream';
import { Pool as Connections, type Dispatcher, request } from 'undici';
import type { z } from 'zod';
import { CodedError } from '../errors.ts';
import { type Problem, problemSchema } from '../schema.ts';
import { speaksTls, tlsFault } from '../trust/pin.ts';
import type { Connection } from './connection.ts';
import { visible } from './view/text.ts';

/** What the controller answered. */
export interface Answer<T> {
  status: number;
  /** As the schema reads it. */
  value: T;
  /** As it came. */
  raw: unknown;
  etag: string | undefined;
  /** The controller's clock, milliseconds since the epoch. */
  now: number;
}

export interface CallOptions {
  query?: Record<string, string | number | undefined>;
  body?: unknown;
  headers?: Record<string, string>;
  /** How long the answer may take, milliseconds. */
  timeoutMs?: number;
}

/** Calls to the controller. Each throws {@link Refusal}, or CodedError when there is no answer. */
export interface Client {
  /** Where the controller is. */
  base: string;
  call<T>(method: Dispatcher.HttpMethod, path: string, schema: z.ZodType<T>, options?: CallOptions): Promise<Answer<T>>;
  /** The answer as it came. */
  text(path: string): Promise<string>;
  /** An answer that goes on; silent for at most `timeoutMs`. */
  stream(path: string, options?: CallOptions): Promise<Readable>;
  close(): Promise<void>;
}

/** The controller said no. */
export class Refusal extends CodedError {
  readonly status: number;

  constructor(status: number, problem: Problem | undefined, what: string) {
    super(problem?.code ?? 'REFUSED', problem ? wordsOf(problem) : what, status === 401 || status === 403 ? 3 : 1);
    this.status = status;
  }
}

const usualMs = 10_000;
/** How long a connection may take. */
export const connectMs = 5_000;

export function openClient(connection: Connection, stop: AbortSignal): Client {
  // Every request that is under way listens to it.
  setMaxListeners(0, stop);
  const { base } = connection;
  let opened: Connections | undefined;
  const open = async () => {
    // A token goes nowhere before it is known whose certificate is awaited there.
    const ca = await connection.authority();
    const { socket } = connection;
    opened ??= new Connections(connection.url.origin, {
      connect: {
        timeout: connectMs,
        ...(ca !== undefined && { ca }),
        ...(socket !== undefined && { socketPath: socket }),
      },
      connections: 4,
    });
    return opened;
  };

  const send = async (method: Dispatcher.HttpMethod, path: string, options: CallOptions) => {
    const { query = {}, body, headers, timeoutMs = usualMs } = options;
    const dispatcher = await open();
    const token = await connection.token();
    const auth: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const url = new URL(path, connection.url);
    for (const [key, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(key, String(value));
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    const answer = await request(url, {
      dispatcher,
      method,
      signal: stop,
      headers: { accept: 'application/json', ...auth, ...(body !== undefined && { 'content-type': type }), ...headers },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
    });
    if (answer.statusCode >= 200 && answer.statusCode < 300) return answer;
    throw refusalOf(connection, answer.statusCode, await answer.body.text(), token !== undefined);
  };

  const sendWhole = async (...request: Parameters<typeof send>) => {
    try {
      const answer = await send(...request);
      return { answer, text: await answer.body.text() };
    } catch (error) {
      throw stop.aborted ? error : await noAnswer(connection, error as Failure);
    }
  };

  return {
    base,
    text: async (path) => (await sendWhole('GET', path, { headers: { accept: '*/*' } })).text,
    call: async (method, path, schema, options = {}) => {
      const { answer, text } = await sendWhole(method, path, options);
      const raw = parsed(text);
      const read = schema.safeParse(raw);
      if (!read.success) throw new CodedError('ANSWER', stranger(base, path));
      const { etag, date } = answer.headers;
      return {
        status: answer.statusCode,
        value: read.data,
        raw,
        etag: typeof etag === 'string' ? etag : undefined,
        now: (typeof date === 'string' && Date.parse(date)) || Date.now(),
      };
    },
    stream: async (path, options = {}) => {
      try {
        return (await send('GET', path, { ...options, headers: { accept: 'text/event-stream', ...options.headers } }))
          .body;
      } catch (error) {
        throw stop.aborted ? error : await noAnswer(connection, error as Failure);
      }
    },
    close: async () => opened?.destroy(),
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function refusalOf({ base, noSocket }: Connection, status: number, text: string, hadToken: boolean): Refusal {
  const problem = problemSchema.safeParse(parsed(text));
  const what = `${base} answers ${status}: that is no dsr-controller, or something in front of one; check the setting "controller"`;
  const refusal = new Refusal(status, problem.success ? problem.data : undefined, what);
  if (status === 401) refusal.message += `\n  ${howToShowOne}`;
  if (status === 401 && !hadToken && noSocket)
    refusal.message += `\n  ${noSocket}: run as root, and no token is needed`;
  return refusal;
}

const howToShowOne =
  'a token is given by --token-file or --token, DSR_TOKEN_FILE or DSR_TOKEN, or kept by "dsrctl login"';

/** What is wrong, where, and what would be right. */
function wordsOf({ title, detail, code, errors = [] }: Problem): string {
  if (errors.length === 0) return `${visible(title)} (${visible(code)}): ${visible(detail)}`;
  const fields = errors.map(({ path, message }) => `  ${path ? `${visible(path)}: ` : ''}${visible(message)}`);
  return [`${visible(title)} (${visible(code)})`, ...fields].join('\n');
}

const stranger = (base: string, path: string) =>
  `what ${base} answers to ${path} is not understood: that is no dsr-controller, or one of another version; check the setting "controller"`;

const causes: Record<string, string> = {
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'it ended the connection',
  UND_ERR_SOCKET: 'it ended the connection',
  EHOSTUNREACH: 'there is no way to that host',
  ENETUNREACH: 'there is no way to that network',
  ENOTFOUND: 'the name is not known',
  EAI_AGAIN: 'the name cannot be looked up now',
  UND_ERR_CONNECT_TIMEOUT: 'it does not answer',
  UND_ERR_HEADERS_TIMEOUT: 'it takes the request, but does not answer',
  UND_ERR_BODY_TIMEOUT: 'its answer does not end',
};

type Failure = Error & { code?: string; errors?: (Error & { code?: string })[] };

/** Why there is no answer, and what to do. */
async function noAnswer(connection: Connection, error: Failure): Promise<CodedError> {
  const { base, url, socket, noSocket } = connection;
  const fault = error instanceof CodedError ? error : tlsFault(error);
  const known = fault && ['NOT_TLS', 'BAD_CERTIFICATE'].includes(fault.code);
  if (fault && !known) return fault;
  const code = error.code ?? error.errors?.[0]?.code ?? '';
  const cut = code === 'UND_ERR_SOCKET' || code === 'ECONNRESET' || code.startsWith('HPE_');
  const no = (why: string, what: string, exitCode: 1 | 3 = 1) =>
    new CodedError('UNREACHABLE', `the controller ${base} cannot be reached: ${why}. ${what}`, exitCode, {
      cause: error,
    });
  if (known) return no(fault.message, 'Nothing was sent to it');
  if (socket !== undefined && (code === 'EACCES' || code === 'EPERM'))
    return no('this user may not open the socket', 'Run as root, or give --controller and --token-file', 3);
  if (socket !== undefined && code === 'ENOENT')
    return no('there is no such socket', `${running}, and ${rightSetting}`);
  if (cut && url.protocol === 'http:' && socket === undefined && (await speaksTls(url, connectMs)))
    return no('it speaks HTTPS on this port, not plain HTTP', `Write ${base.replace(/^http:/, 'https:')}`);
  const also = noSocket ? `. ${noSocket}: run as root, or give --controller and --token-file` : '';
  return no(causes[code] ?? visible(error.message), `${running}, and ${rightSetting}${also}`);
}

const running = 'Check that dsr-controller runs';
const rightSetting = 'that the setting "controller" is its address (--controller, DSR_CONTROLLER)';
