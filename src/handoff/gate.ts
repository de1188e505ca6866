import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Tuple } from '../core/handoff/tcp-state.ts';
import { parseHead, type RequestHead } from '../core/url/request.ts';
import { lingerMs, Side } from './side.ts';

/** What a client has sent that nobody has answered yet. */
export interface Unanswered {
  read: Buffer;
  /** Its FIN too. */
  ended: boolean;
}

export interface GateOptions<S extends object> {
  server: Server;
  tuple: Tuple;
  /** What {@link ask} and the server's handler need to know of the port. */
  service: S;
  /**
   * Asked at each request that has come with its whole head while nothing of an earlier one is under way. Undefined: it is
   * answered here. Else a promise of whether the connection has left; then it is no longer the gate's.
   *
   * @param unanswered what came, at the moment when it is called
   */
  ask?(
    head: RequestHead,
    socket: Socket,
    unanswered: () => Unanswered,
    service: S,
    tuple: Tuple,
  ): Promise<boolean> | undefined;
  /** The connection is over, or has left. */
  over?(): void;
  /** What came before, of a connection that was taken. */
  before?: Unanswered;
  limits?: Partial<GateLimits>;
}

export interface GateLimits {
  /** A head, from its first byte to its last, milliseconds. */
  headMs: number;
  /** A connection without a request; a body of which nothing comes; a client that takes nothing of an answer. */
  idleMs: number;
}

export interface Gate {
  /** No further request: ends when the one that is under way is answered. */
  finish(): void;
}

const defaults: GateLimits = { headMs: 30_000, idleMs: 60_000 };
/** So much is read ahead of an answer. */
const aheadBytes = 1 << 16;

/**
 * Lets one request after the other through to an HTTP server, so that between two of them the connection may leave. A head
 * that {@link parseHead} refuses, or after which nobody can count to the next one, opens the gate for good: then the server
 * reads by itself, and the connection stays.
 */
export function openGate<S extends object>(socket: Socket, options: GateOptions<S>): Gate {
  const { server, tuple, service } = options;
  const { headMs, idleMs } = { ...defaults, ...options.limits };
  /** head: between requests. asked: it may leave. request: answered here, `bodyLeft` bytes of it to come. open: for good. */
  let state: 'head' | 'asked' | 'request' | 'open' | 'gone' = 'head';
  let kept = options.before?.read ?? Buffer.alloc(0);
  let ended = options.before?.ended ?? false;
  let bodyLeft = 0;
  let isAnswered = true;
  let finishing = false;
  let headTimer: NodeJS.Timeout | undefined;
  let side: Side | undefined;

  const pass = (bytes: Buffer) => {
    if (bytes.length > 0 && side?.push(bytes) === false) socket.pause();
  };
  const passEnd = () => side?.push(null);

  function through(): Side {
    if (side) return side;
    side = new Side(socket, tuple, service, () => {
      if (state !== 'asked' && kept.length < aheadBytes) socket.resume();
    });
    side.on('error', () => {});
    side.changed = () => {
      if (state === 'open') waitForHead(idleMs);
      if (side?.underWay.size) return;
      isAnswered = true;
      if (state === 'request' && bodyLeft === 0) between();
    };
    server.emit('connection', side);
    return side;
  }

  function between(): void {
    state = 'head';
    if (finishing) {
      close();
      return;
    }
    socket.resume();
    look();
  }

  /** Looks for the next request in what was kept. */
  function look(): void {
    if (state !== 'head') return;
    if (kept.length === 0) {
      if (ended || finishing) close();
      return;
    }
    const head = parseHead(kept);
    if (head.kind === 'incomplete' && !ended) {
      headTimer ??= setTimeout(() => socket.destroy(), headMs);
      return;
    }
    clearTimeout(headTimer);
    headTimer = undefined;
    if (head.kind !== 'request') {
      openForGood();
      return;
    }
    const asking = isCountable(head)
      ? options.ask?.(head, socket, () => ({ read: kept, ended }), service, tuple)
      : undefined;
    if (!asking) {
      admit(head);
      return;
    }
    state = 'asked';
    socket.setTimeout(0);
    asking.then(
      (hasLeft) => {
        if (state === 'gone') return;
        if (hasLeft) leave();
        else {
          socket.setTimeout(idleMs);
          admit(head);
        }
      },
      () => socket.destroy(),
    );
  }

  function admit(head: RequestHead): void {
    if (!isCountable(head)) {
      openForGood();
      return;
    }
    state = 'request';
    isAnswered = false;
    through().head = head;
    bodyLeft = head.body as number;
    const rest = kept.subarray(head.length);
    pass(kept.subarray(0, head.length));
    kept = Buffer.alloc(0);
    more(rest);
  }

  function openForGood(): void {
    state = 'open';
    through().head = undefined;
    pass(kept);
    kept = Buffer.alloc(0);
    if (ended) passEnd();
    waitForHead(headMs);
  }

  /** Where the server reads by itself it has no limit of its own on how long the next head may take. */
  function waitForHead(ms: number): void {
    clearTimeout(headTimer);
    if (side?.underWay.size) return;
    if (finishing) close();
    else headTimer = setTimeout(() => socket.destroy(), ms);
  }

  /** Nothing happens until the client does something. */
  const waitsForClient = () =>
    socket.writableLength > 0 ||
    (!socket.isPaused() && [...(side?.underWay ?? [])].some((request) => !request.complete));

  function more(bytes: Buffer): void {
    if (state === 'gone') return;
    if (state === 'open') {
      pass(bytes);
      return;
    }
    if (state === 'request' && bodyLeft > 0) {
      const part = bytes.subarray(0, bodyLeft);
      bodyLeft -= part.length;
      pass(part);
      if (part.length < bytes.length) kept = Buffer.concat([kept, bytes.subarray(part.length)]);
      if (bodyLeft === 0 && isAnswered) between();
      return;
    }
    kept = kept.length === 0 ? bytes : Buffer.concat([kept, bytes]);
    if (state === 'head') look();
    else if (kept.length >= aheadBytes) socket.pause();
  }

  /** The client has no request left, or gets none answered any more. */
  function close(): void {
    state = 'gone';
    socket.end();
    setTimeout(() => socket.destroy(), lingerMs).unref();
  }

  /** The connection is somebody else's now; the socket of this process goes without a word. */
  function leave(): void {
    state = 'gone';
    side?.release();
    socket.removeAllListeners();
    socket.on('error', () => {});
    options.over?.();
  }

  socket.on('data', more);
  socket.on('end', () => {
    ended = true;
    if (state === 'head') look();
    else if (state === 'open' || (state === 'request' && bodyLeft > 0)) passEnd();
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    clearTimeout(headTimer);
    state = 'gone';
    side?.destroy();
    options.over?.();
  });
  socket.on('timeout', () => {
    if (state === 'head') close();
    else if (state !== 'asked' && waitsForClient()) socket.destroy();
  });
  socket.setTimeout(idleMs);
  // A client that is gone without a word, while its answer is waited for, is noticed by the kernel.
  socket.setKeepAlive(true, idleMs);
  look();
  return {
    finish() {
      finishing = true;
      if (state === 'head' || (state === 'open' && !side?.underWay.size)) close();
    },
  };
}

/** Whether it is known where the next request begins, and that there may be one. */
const isCountable = ({ body, headers }: RequestHead): boolean =>
  body !== 'chunked' && !headers.some(([name]) => name === 'upgrade' || name === 'expect');

export type Handler = (request: IncomingMessage, response: ServerResponse, side: Side | undefined) => void;

/** The HTTP server behind gates; it listens nowhere. What is no gate's is told as such: `side` is undefined. */
export function createGateServer(handler: Handler): Server {
  // The gate has limits of its own on how long a head may take; a body may take as long as its client needs.
  const server = createServer({ keepAliveTimeout: 0, headersTimeout: 0, requestTimeout: 0 }, (request, response) => {
    const side = request.socket instanceof Side ? request.socket : undefined;
    if (side) {
      side.underWay.add(request);
      response.once('close', () => {
        side.underWay.delete(request);
        side.changed();
      });
      side.changed();
    }
    handler(request, response, side);
  });
  (server as Server & { httpAllowHalfOpen: boolean }).httpAllowHalfOpen = true;
  return server;
}
