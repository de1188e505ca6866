import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough, Readable } from 'node:stream';
import type { Test } from 'tap';
import type { Io, Out } from '../../src/cli/io.ts';
import { run } from '../../src/cli/run.ts';
import { createSignal, type Signal, until } from '../../src/loop.ts';
import { type Controller, type ControllerOptions, patienceMs, startController } from '../api/site.ts';

/** What a terminal or a pipe got. */
export interface Heard extends Out {
  text: string;
  changed: Signal;
}

export function createHearing(more: Pick<Out, 'isTTY' | 'columns' | 'rows'> = {}): Heard {
  const heard: Heard = {
    ...more,
    text: '',
    changed: createSignal(),
    write: (text) => {
      heard.text += text;
      heard.changed.notify();
    },
  };
  return heard;
}

export interface Started {
  stdout: Heard;
  stderr: Heard;
  /** The exit code. */
  ended: Promise<number>;
  /** What Ctrl-C does. */
  interrupt(): void;
  /** Waits until the standard output, as it is from now on or was before, fulfils this. */
  says(words: RegExp, out?: Heard): Promise<void>;
}

export interface Surroundings {
  env?: NodeJS.ProcessEnv;
  /** What is piped in. */
  stdin?: string;
  /** What is typed at a terminal. */
  typed?: string;
  tty?: boolean;
  /** Width of the terminal. */
  columns?: number;
  /** The controller's socket for root. */
  rootSocket?: string;
}

/** Starts dsrctl in this process. */
export function start(
  argv: readonly string[],
  { env = {}, stdin, typed, tty = false, columns = 200, rootSocket = '/nonexistent/socket' }: Surroundings = {},
): Started {
  const stop = new AbortController();
  const [stdout, stderr] = [createHearing({ isTTY: tty, columns, rows: 60 }), createHearing()];
  const input: Io['stdin'] =
    typed === undefined ? Readable.from(stdin === undefined ? [] : [stdin]) : new PassThrough();
  if (typed !== undefined) {
    input.isTTY = true;
    (input as PassThrough).write(typed);
  }
  const io: Io = {
    env: { HOME: '/nonexistent', ...env },
    stdin: input,
    stdout,
    stderr,
    rootSocket,
    stop: stop.signal,
  };
  const ended = run(argv, io);
  return {
    stdout,
    stderr,
    ended,
    interrupt: () => stop.abort(),
    says: async (words, out = stdout) => {
      const met = await until(out.changed, () => words.test(out.text) || undefined, patienceMs);
      if (!met) throw new Error(`never said ${words}, but: …${out.text.slice(-500)}${stderr.text.slice(-500)}`);
    },
  };
}

export interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs dsrctl in this process to its end. */
export async function dsrctl(argv: readonly string[], around: Surroundings = {}): Promise<Ended> {
  const { stdout, stderr, ended } = start(argv, around);
  const code = await ended;
  return { code, stdout: stdout.text, stderr: stderr.text };
}

export interface Site extends Controller {
  base: string;
  /** What happens while an answer to this request is on its way. */
  onAnswer: { does(request: string): unknown };
  /** dsrctl against this controller. */
  ctl(argv: readonly string[], around?: Surroundings): Promise<Ended>;
  /** The same, which must go well; answers its output. */
  ok(argv: readonly string[], around?: Surroundings): Promise<string>;
  start(argv: readonly string[], around?: Surroundings): Started;
}

/** A controller on a real socket, and dsrctl that knows where it is. */
export async function startSite(t: Test, options: ControllerOptions = {}): Promise<Site> {
  const c = await startController(t, options);
  const onAnswer: Site['onAnswer'] = { does: () => {} };
  c.api.addHook('onSend', async ({ method, url }) => void (await onAnswer.does(`${method} ${url}`)));
  const base = await c.listen();
  const with_ = (around: Surroundings = {}) => ({ ...around, env: { DSR_CONTROLLER: base, ...around.env } });
  const ctl: Site['ctl'] = (argv, around) => dsrctl(argv, with_(around));
  return {
    ...c,
    base,
    onAnswer,
    ctl,
    ok: async (argv, around) => {
      const { code, stdout, stderr } = await ctl(argv, around);
      if (code !== 0) throw new Error(`dsrctl ${argv.join(' ')} ended with ${code}: ${stderr}${stdout}`);
      return stdout;
    },
    start: (argv, around) => {
      const started = start(argv, with_(around));
      // Also when the test fails before it ends it.
      t.teardown(started.interrupt);
      return started;
    },
  };
}

export interface Stub {
  base: string;
  server: Server;
}

/** What is no controller of ours: answers as the test says. */
export async function startStub(t: Test, answer: RequestListener): Promise<Stub> {
  const server = createServer(answer);
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  t.teardown(close);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { base: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}

/** A handler that answers in JSON by path; everything else is not found, as the API says it. */
export const answering =
  (answers: Record<string, unknown>): RequestListener =>
  ({ url = '' }, response) => {
    const path = url.split('?')[0] ?? '';
    const found = Object.hasOwn(answers, path);
    const problem = {
      type: 'about:blank',
      title: 'There is no such thing',
      status: 404,
      code: 'NOT_FOUND',
      detail: path,
    };
    response.writeHead(found ? 200 : 404, { 'content-type': 'application/json' });
    response.end(JSON.stringify(found ? answers[path] : problem));
  };
