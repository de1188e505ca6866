import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { after, type Breaker, mayTry, newBreaker } from '../core/handoff/breaker.ts';
import { chooseServer, leastConnections } from '../core/handoff/choice.ts';
import { locationOf } from '../core/handoff/redirect.ts';
import { createSizes, type Sizes } from '../core/handoff/sizes.ts';
import type { Tuple } from '../core/handoff/tcp-state.ts';
import { matchUrl } from '../core/url/match.ts';
import type { RequestHead } from '../core/url/request.ts';
import type { Exchange } from '../handoff/exchange.ts';
import { forward, type WebServer, webServer } from '../handoff/forward.ts';
import { createGateServer, type Unanswered } from '../handoff/gate.ts';
import { clientField, serviceField } from '../handoff/private-channel.ts';
import type { Side } from '../handoff/side.ts';
import type { FrontPort } from '../handoff-schema.ts';
import { splitOrigin } from '../url-schema.ts';
import { portOf } from './fitness.ts';

/** A port that the front serves; what holds of it changes while connections go on. */
export interface Service {
  port: FrontPort;
}

export interface FrontCounts {
  /** Requests that were answered by way of the director's own web server. */
  passed: number;
  redirected: number;
  handedOver: number;
  /** Hand-offs that did not come about; the director answered. */
  kept: number;
  /** Connections that agents gave back. */
  givenBack: number;
}

export interface Front {
  http: Server;
  counts: FrontCounts;
  sizes: Sizes;
  /** Agents' requests that are not answered whole yet. */
  agentsRequests(): number;
  /** As a gate asks: undefined where the director answers. */
  ask(
    head: RequestHead,
    socket: Socket,
    unanswered: () => Unanswered,
    service: Service,
    tuple: Tuple,
  ): Promise<boolean> | undefined;
}

export interface FrontOptions {
  services(): ReadonlyMap<string, Service>;
  exchangeOf(name: string): Exchange | undefined;
  /** How many connections a server has. */
  connectionsOf(server: FrontPort['servers'][number]): number;
  /** Whether this socket is of an agent that has a connection of this client. */
  mayAskFor(socket: object, service: Service, client: string): boolean;
  /** Whether a server that clients are redirected to accepts connections. */
  isFit(address: string, port: number): boolean;
  /** A connection is given to this agent, or stays after all. */
  moved(name: string, tuple: Tuple, isGone: boolean): void;
  log: Record<'info' | 'warn', (keys: object, message: string) => void>;
  now?: () => number;
  chance?: () => number;
}

const isWhole = ({ method, body }: RequestHead) => (method === 'GET' || method === 'HEAD') && body === 0;

/** Decides request by request who answers: the director's web server, a redirect, or a real server that takes the connection. */
export function createFront({
  services,
  exchangeOf,
  connectionsOf,
  mayAskFor,
  isFit,
  moved,
  log,
  now = () => performance.now(),
  chance = Math.random,
}: FrontOptions): Front {
  const counts: FrontCounts = { passed: 0, redirected: 0, handedOver: 0, kept: 0, givenBack: 0 };
  let agentsRequests = 0;
  const breakers = new Map<string, Breaker>();
  const webServers = new Map<string, WebServer>();
  const sizes = createSizes();

  const breakerOf = (name: string) => breakers.get(name) ?? newBreaker;
  const http = createGateServer(answer);

  function answer(request: IncomingMessage, response: ServerResponse, side: Side | undefined): void {
    if (side) {
      answerClient(request, response, side.service as Service, side);
      return;
    }
    // From an agent, which says for whom it asks.
    const service = services().get(String(request.headers[serviceField]));
    const client = request.headers[clientField];
    if (!service || typeof client !== 'string' || !mayAskFor(request.socket, service, client)) {
      response.writeHead(404).end();
      return;
    }
    agentsRequests++;
    response.once('close', () => agentsRequests--);
    pass(request, response, service, client);
  }

  function answerClient(request: IncomingMessage, response: ServerResponse, service: Service, side: Side): void {
    const { head, tuple } = side;
    const where = head && service.port.policy.engine === 'redirect' ? redirectOf(head, service.port) : undefined;
    if (where === undefined) {
      pass(request, response, service, tuple.client, head);
      return;
    }
    counts.redirected++;
    response.writeHead(service.port.policy.redirect?.code ?? 302, { location: where, 'content-length': '0' }).end();
  }

  function redirectOf(head: RequestHead, { policy, servers }: FrontPort): string | undefined {
    if (!isWhole(head) || matchUrl(policy, head).to !== 'real-servers') return undefined;
    const hosts = policy.redirect?.hosts ?? {};
    const named = servers.filter(({ name, isDirector }) => !isDirector && Object.hasOwn(hosts, name));
    // Whoever has been sent to one of them already is answered where it has come to.
    if (named.some(({ name }) => locationOf(head, hosts[name] ?? '') === undefined)) return undefined;
    const fit = named.filter(({ name, address }) => isFit(address, portOf(hosts[name] ?? '')));
    const server = chooseServer(fit, policy.affinity, head.path, chance());
    return server && locationOf(head, hosts[server.name] ?? '');
  }

  function pass(
    request: IncomingMessage,
    response: ServerResponse,
    { port }: Service,
    client: string,
    head?: RequestHead,
  ): void {
    counts.passed++;
    const text = port.policy[port.policy.engine === 'redirect' ? 'redirect' : 'handoff']?.local ?? '127.0.0.1:8080';
    const known = webServers.get(text);
    const { address, port: number } = splitOrigin(text) ?? { address: '127.0.0.1', port: 8080 };
    const server = known ?? webServer(address, number);
    if (!known) webServers.set(text, server);
    forward(request, response, server, {
      client,
      host: port.vip,
      without: [clientField, serviceField],
      ...(head && isWhole(head) && { answered: (bytes) => sizes.saw(head.path, bytes) }),
      failed: (error) =>
        log.warn({ server: text, reason: error.message }, "the director's own web server does not answer"),
    });
  }

  const ask: Front['ask'] = (head, socket, unanswered, service, tuple) => {
    const { policy, servers } = service.port;
    if (policy.engine !== 'handoff' || !isWhole(head) || matchUrl(policy, head).to !== 'real-servers') return undefined;
    const least = policy.handoff?.minBytes ?? 0;
    if (least > 0 && (sizes.expected(head.path) ?? least) < least) return undefined;
    const fit = servers.filter(
      ({ name, isDirector, weight }) =>
        weight > 0 && (isDirector || (exchangeOf(name) !== undefined && mayTry(breakerOf(name), now()))),
    );
    const idlest = policy.affinity === 'url-hash' ? fit : leastConnections(fit, connectionsOf);
    const server = chooseServer(idlest, policy.affinity, head.path, chance());
    const exchange = server && !server.isDirector ? exchangeOf(server.name) : undefined;
    return server && exchange && give(server.name, exchange, socket, tuple, unanswered);
  };

  async function give(
    name: string,
    exchange: Exchange,
    socket: Socket,
    tuple: Tuple,
    unanswered: () => Unanswered,
  ): Promise<boolean> {
    moved(name, tuple, true);
    const refused = await exchange.offer(socket, tuple, unanswered);
    if (refused === undefined) {
      counts.handedOver++;
      breakers.set(name, newBreaker);
      return true;
    }
    moved(name, tuple, false);
    counts.kept++;
    if (refused.isPeers) {
      const breaker = after(breakerOf(name), false, now());
      breakers.set(name, breaker);
      log.warn(
        { realServer: name, reason: refused.reason, failures: breaker.failures },
        'a hand-off did not come about',
      );
    }
    return false;
  }

  return { http, counts, sizes, agentsRequests: () => agentsRequests, ask };
}
