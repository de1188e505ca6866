import { setMaxListeners } from 'node:events';
import type { Readable } from 'node:stream';
import { Pool as Connections, type Dispatcher, request } from 'undici';
import type { z } from 'zod';
import { CodedError } from '../errors.ts';
import { type Problem, problemSchema } from '../schema.ts';
import type { Settings } from './settings.ts';
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

export function openClient({ controller: base, token }: Settings, stop: AbortSignal): Client {
  // Every request that is under way listens to it.
  setMaxListeners(0, stop);
  const dispatcher = new Connections(new URL(base).origin, { connect: { timeout: 5_000 }, connections: 4 });
  const auth: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };

  const send = async (method: Dispatcher.HttpMethod, path: string, options: CallOptions) => {
    const { query = {}, body, headers, timeoutMs = usualMs } = options;
    const url = new URL(path, base.endsWith('/') ? base : `${base}/`);
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
    throw refusalOf(base, answer.statusCode, await answer.body.text());
  };

  const noAnswer = (error: unknown) => {
    if (error instanceof CodedError || stop.aborted) return error;
    return new CodedError('UNREACHABLE', unreachable(base, error as Error), 1, { cause: error });
  };

  return {
    base,
    call: async (method, path, schema, options = {}) => {
      let text: string;
      let answer: Dispatcher.ResponseData;
      try {
        answer = await send(method, path, options);
        text = await answer.body.text();
      } catch (error) {
        throw noAnswer(error);
      }
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
        throw noAnswer(error);
      }
    },
    close: () => dispatcher.destroy(),
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function refusalOf(base: string, status: number, text: string): Refusal {
  const problem = problemSchema.safeParse(parsed(text));
  const what = `${base} answers ${status}: that is no dsr-controller, or something in front of one; check the setting "controller"`;
  const refusal = new Refusal(status, problem.success ? problem.data : undefined, what);
  if (refusal.exitCode === 3)
    refusal.message += '\n  a token is given by --token, DSR_TOKEN or "token" in the config file';
  return refusal;
}

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

function unreachable(base: string, error: Error & { code?: string; errors?: (Error & { code?: string })[] }): string {
  const code = error.code ?? error.errors?.[0]?.code ?? '';
  return `the controller ${base} cannot be reached: ${causes[code] ?? visible(error.message)}. Check that dsr-controller runs, and that the setting "controller" is its address (--controller, DSR_CONTROLLER)`;
}
