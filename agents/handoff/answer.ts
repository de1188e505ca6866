import { ReadStream } from 'node:fs';
import { Agent, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { pipeline } from 'node:stream';
import { connect } from 'node:tls';
import { type Tuple, tupleKey } from '../../src/core/handoff/tcp-state.ts';
import { matchUrl } from '../../src/core/url/match.ts';
import type { RequestHead } from '../../src/core/url/request.ts';
import { forward, type WebServer } from '../../src/handoff/forward.ts';
import { createGateServer } from '../../src/handoff/gate.ts';
import { clientField, connecting, serviceField } from '../../src/handoff/private-channel.ts';
import type { Side } from '../../src/handoff/side.ts';
import type { FrontPort } from '../../src/handoff-schema.ts';
import { filesBelow } from './files.ts';

/** A port of a VIP on this host. */
export interface Service {
  vip: string;
  port: number;
  policy: FrontPort['policy'];
  /** For the director's probes, which ask this host and nobody else. */
  isProbed: boolean;
}

export interface AnswerOptions {
  /** Folder of files to send; or the web server of this host that answers. */
  root: string | undefined;
  server: WebServer | undefined;
  /** Takes what is the director's. */
  director: WebServer;
  log: Record<'warn', (keys: object, message: string) => void>;
}

export interface Answers {
  http: Server;
  /** What was sent on a connection, bytes by path; asked once, when it is over. */
  sizesOf(tuple: Tuple): Record<string, number> | undefined;
}

/** Whether this host answers a request by itself. */
export const isOwn = (head: RequestHead | undefined, { policy, isProbed }: Service): boolean =>
  head !== undefined &&
  (head.method === 'GET' || head.method === 'HEAD') &&
  head.body === 0 &&
  (isProbed || matchUrl(policy, head).to === 'real-servers');

/** Of one connection, so that what is told of them fits a frame. */
const mostSizes = 20;
const mostPath = 1000;

export function createAnswers({ root, server, director, log }: AnswerOptions): Answers {
  const files = filesBelow(root ?? '/nonexistent');
  const sizes = new Map<string, Record<string, number>>();
  const saw = (tuple: Tuple, path: string, bytes: number) => {
    const known = sizes.get(tupleKey(tuple)) ?? {};
    if (Object.keys(known).length < mostSizes && path.length <= mostPath)
      sizes.set(tupleKey(tuple), { ...known, [path]: bytes });
  };

  const http = createGateServer((request, response, side) => {
    if (!side) return void response.destroy();
    const service = side.service as Service;
    const { head } = side;
    if (!isOwn(head, service)) return toDirector(request, response, side, service);
    const answered = (bytes: number) => {
      if (head && !service.isProbed) saw(side.tuple, head.path, bytes);
    };
    if (server) {
      const failed = failedAt('the web server of this host does not answer');
      // No client is to see an error because it was handed over.
      const otherwise = service.isProbed ? {} : { otherwise: () => toDirector(request, response, side, service) };
      return forward(request, response, server, {
        client: side.tuple.client,
        host: service.vip,
        answered,
        failed,
        ...otherwise,
      });
    }
    void sendFile(request, response, side, service, answered);
  });

  const failedAt = (message: string) => (error: Error) => log.warn({ reason: error.message }, message);

  function toDirector(request: IncomingMessage, response: ServerResponse, side: Side, { vip, port }: Service): void {
    const { client } = side.tuple;
    const fields = [
      [clientField, client],
      [serviceField, `${vip} ${port}`],
    ] as const;
    const without = [clientField, serviceField];
    forward(request, response, director, {
      client,
      host: vip,
      fields,
      without,
      failed: failedAt('the front does not answer'),
    });
  }

  async function sendFile(
    request: IncomingMessage,
    response: ServerResponse,
    side: Side,
    service: Service,
    answered: (bytes: number) => void,
  ): Promise<void> {
    const path = encoded(side.head?.path ?? '/');
    const file = await files.find(request, path);
    if (response.destroyed) return void file?.stream.destroy();
    // What is not here may be at the director: its answer is the right one in any case.
    if (!file && !service.isProbed) return toDirector(request, response, side, service);
    if (!file) return void response.writeHead(404, { 'content-length': '0' }).end();
    const { statusCode, headers, stream } = file;
    const length = Number(headers['Content-Length'] ?? Number.NaN);
    if (statusCode === 200 && Number.isFinite(length)) answered(length);
    response.writeHead(statusCode, headers);
    // A file that was cut meanwhile: the client must not take what comes next for the rest of it.
    if (stream instanceof ReadStream) stream.once('end', () => stream.bytesRead < length && response.destroy());
    pipeline(stream, response, () => {});
  }

  return {
    http,
    sizesOf(tuple) {
      const key = tupleKey(tuple);
      const found = sizes.get(key);
      sizes.delete(key);
      return found;
    },
  };
}

/** A decoded path, one character a byte, so that it decodes to the same bytes again. */
const encoded = (path: string): string =>
  path.replace(/[^A-Za-z0-9/._~-]/g, (byte) => `%${byte.charCodeAt(0).toString(16).padStart(2, '0')}`);

/** The director, by the front's private channel. */
export function directorBehind(
  front: () => { host: string; port: number; name: string; key: string } | undefined,
): WebServer {
  const agent = new Agent({ keepAlive: true, scheduling: 'lifo', maxFreeSockets: 16 });
  agent.createConnection = (_, made) => {
    const to = front();
    if (!to) {
      process.nextTick(() => made?.(new Error('no front is known'), undefined as never));
      return undefined;
    }
    const socket = connect({ host: to.host, port: to.port, ...connecting(to.name, to.key, 'requests') });
    socket.setNoDelay(true);
    return socket;
  };
  return { address: 'director', port: 80, agent };
}
