import {
  Agent,
  type ClientRequest,
  type IncomingMessage,
  request as openRequest,
  type ServerResponse,
} from 'node:http';
import { pipeline } from 'node:stream';

/** A web server that requests are passed on to. */
export interface WebServer {
  address: string;
  port: number;
  /** Keeps connections; also how they are made where not by plain TCP. */
  agent: Agent;
}

export const webServer = (address: string, port: number): WebServer => ({
  address,
  port,
  agent: new Agent({ keepAlive: true, scheduling: 'lifo', maxFreeSockets: 64 }),
});

export interface ForwardOptions {
  /** Of the client, as the web server is told it. */
  client: string;
  /** Named to the web server where the client names none (HTTP/1.0): the address that it asked. */
  host: string;
  /** Further header fields. */
  fields?: readonly (readonly [string, string])[];
  /** Names of fields that go no further, in lower case. */
  without?: readonly string[];
  /** Where the answer says how long it is, bytes; of a whole answer alone (200). */
  answered?(bytes: number): void;
  failed?(error: Error): void;
  /** Answers in the place of a web server that does not, or does not have it (404, 410); a request with a body is past that. */
  otherwise?(): void;
}

/** Of one connection only (RFC 9110 section 7.6.1), or made anew for each. */
const hopByHop = [
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'te',
  'trailer',
  'upgrade',
  'expect',
];
/** What tells of the client: believed from nobody, and told anew. */
const ofClient = ['forwarded', 'x-forwarded-for', 'x-forwarded-proto', 'x-real-ip', 'x-client-ip'];
/** May be sent again when a connection that was kept has just been closed by the other end (RFC 9110 section 9.2.2). */
const repeatable = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Passes a request on, and its answer back, both as they come. Answers 502 when there is none. */
export function forward(from: IncomingMessage, to: ServerResponse, server: WebServer, options: ForwardOptions): void {
  const { client, host: asked, fields = [], without = [], answered, failed, otherwise } = options;
  const method = from.method ?? 'GET';
  const hasBody = from.headers['transfer-encoding'] !== undefined || Number(from.headers['content-length'] ?? 0) > 0;
  const headers = fieldsWithout(from, [...hopByHop, ...ofClient, ...without]);
  if (from.headers['transfer-encoding'] !== undefined) headers.push('Transfer-Encoding', 'chunked');
  else if (!hasBody && from.headers['content-length'] === undefined && !repeatable.has(method))
    headers.push('Content-Length', '0');
  if (from.headers.host === undefined) headers.push('Host', asked.includes(':') ? `[${asked}]` : asked);
  const host = client.includes(':') ? `"[${client}]"` : client;
  headers.push('X-Forwarded-For', client, 'X-Forwarded-Proto', 'http', 'Forwarded', `for=${host};proto=http`);
  for (const [name, value] of fields) headers.push(name, value);

  const refuse = (error: Error) => {
    failed?.(error);
    if (to.headersSent) to.destroy();
    else
      to.writeHead(502, 'Bad Gateway', { 'content-type': 'text/plain' }).end(
        'The web server behind this address does not answer.\n',
      );
  };
  let asking: ClientRequest;
  const send = (isFirst: boolean) => {
    // A connection that was kept may be closed by the other end at any moment: only what may be sent again goes there.
    const agent = repeatable.has(method) && !hasBody ? server.agent : undefined;
    asking = openRequest({
      host: server.address,
      port: server.port,
      method,
      path: from.url ?? '/',
      headers,
      ...(agent ? { agent } : freshConnection(server.agent)),
      setHost: false,
    });
    asking.on('response', (answer) => {
      const { statusCode = 502, headers } = answer;
      if (otherwise && !hasBody && isMissing(statusCode)) {
        answer.resume();
        return otherwise();
      }
      const length = headers['content-length'];
      if (statusCode === 200 && length !== undefined) answered?.(Number(length));
      try {
        to.writeHead(statusCode, answer.statusMessage ?? '', fieldsWithout(answer, hopByHop));
      } catch (error) {
        // What it says is no HTTP that may be passed on: a status below 100, control characters.
        asking.destroy();
        return refuse(error as Error);
      }
      pipeline(answer, to, () => {});
      answer.once('end', () => {
        if (!from.complete) asking.destroy();
      });
    });
    asking.on('error', (error: NodeJS.ErrnoException) => {
      if (to.destroyed || to.writableEnded) return;
      if (isFirst && asking.reusedSocket && !to.headersSent && !hasBody) return send(false);
      if (!to.headersSent && otherwise && !hasBody) {
        failed?.(error);
        otherwise();
      } else refuse(error);
    });
    if (!hasBody) return void asking.end();
    from.pipe(asking);
    // Who has answered early takes no more; the rest of the body is read all the same, for the request after it.
    asking.once('close', () => {
      from.unpipe(asking);
      from.resume();
    });
  };
  to.once('close', () => {
    if (!to.writableFinished) asking.destroy();
  });
  send(true);
}

/** As the agent connects, but kept by nobody. */
const freshConnection = (agent: Agent) => ({
  createConnection: (...about: Parameters<NonNullable<Agent['createConnection']>>) => agent.createConnection(...about),
});

const isMissing = (status: number) => status === 404 || status === 410;

/**
 * Fields as they came, name and value in turn, without these and those that Connection names, of which some may not be
 * named there: without them nobody could say where a message ends, or to whom it goes (RFC 9110 section 7.6.1).
 */
function fieldsWithout({ rawHeaders, headers }: IncomingMessage, names: readonly string[]): string[] {
  const named = (headers.connection ?? '').toLowerCase().split(',').map((name) => name.trim()); // biome-ignore format: short
  const out = new Set([...names, ...named.filter((name) => name !== 'content-length' && name !== 'host')]);
  return rawHeaders.filter((_, index) => !out.has((rawHeaders[index - (index % 2)] ?? '').toLowerCase()));
}
