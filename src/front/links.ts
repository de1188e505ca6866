import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { Server as HttpServer } from 'node:http';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { type Channel, openChannel } from '../handoff/channel.ts';
import { createExchange, type Exchange, type ExchangeOptions } from '../handoff/exchange.ts';
import { listening, purposes } from '../handoff/private-channel.ts';
import type { Frame } from '../handoff-schema.ts';

/** The agents that have a link to this front. */
export interface Links {
  /** Whose connection this is; undefined: nobody's whose secret still holds. */
  agentOf(socket: object): string | undefined;
  /** Undefined: that agent has none now. */
  exchangeOf(name: string): Exchange | undefined;
  /** Those whose secret is no longer the same lose their link. */
  use(keys: Readonly<Record<string, string>>): void;
  names(): string[];
  /** Why agents cannot come, in words. */
  trouble(): string | undefined;
  close(): Promise<void>;
}

export interface LinkOptions {
  listen: { host: string; port: number };
  /** Answers what agents ask of the director. */
  http: HttpServer;
  /** What an exchange with this agent needs besides its channel. */
  exchangeWith(name: string): Omit<ExchangeOptions, 'channel'>;
  /** What is said beside the exchange. */
  told(name: string, frame: Frame): void;
  /** An agent's link is gone: nothing more is said of what it has. */
  gone(name: string): void;
  log: Record<'info' | 'warn', (keys: object, message: string) => void>;
}

/** An address that this host does not have yet, or that is taken. */
const retryMs = 500;
/** What is being answered for an agent that has left may still come to its end. */
const leaveMs = 60_000;
const quietMs = 60_000;
const mostRefused = 1000;

/** Listens for agents, as soon as it can. */
export function listenForAgents({ listen, http, exchangeWith, told, gone, log }: LinkOptions): Links {
  let keys = new Map<string, string>();
  const names = new WeakMap<object, string>();
  const open = new Map<string, { channel: Channel; exchange: Exchange }>();
  /** With the secret that each came with. */
  const sockets = new Map<TLSSocket, { name: string; key: string | undefined }>();
  /** By address: when it was last told that it has been refused. */
  const refusedAt = new Map<string, number>();
  let trouble: string | undefined;
  let timer: NodeJS.Timeout | undefined;
  const instance = randomUUID();
  const options = listening(
    (name) => keys.get(name),
    (socket, name) => names.set(socket, name),
  );
  const server: Server = createServer(options, (socket) => {
    const name = names.get(socket);
    if (name === undefined) {
      socket.destroy();
      return;
    }
    sockets.set(socket, { name, key: keys.get(name) });
    socket.once('close', () => sockets.delete(socket));
    socket.setNoDelay(true);
    if (socket.alpnProtocol === purposes.requests) http.emit('connection', socket);
    else link(name, socket);
  });
  server.on('tlsClientError', (error, socket) => {
    const from = socket.remoteAddress ?? '';
    if (performance.now() - (refusedAt.get(from) ?? Number.NEGATIVE_INFINITY) < quietMs) return;
    if (refusedAt.size >= mostRefused) refusedAt.clear();
    refusedAt.set(from, performance.now());
    log.warn({ from, reason: error.message.trim() }, "somebody does not know an agent's secret");
  });

  function link(name: string, socket: TLSSocket): void {
    open.get(name)?.channel.close();
    const channel = openChannel(socket, {
      received: (frame) => {
        if (!exchange.received(frame)) told(name, frame);
      },
      closed: (error) => {
        exchange.closed();
        if (open.get(name)?.channel === channel) {
          open.delete(name);
          gone(name);
        }
        log.info({ agent: name, ...(error && { reason: error.message }) }, 'the link of an agent is gone');
      },
    });
    const exchange = createExchange({ ...exchangeWith(name), channel });
    channel.send({ kind: 'hello', instance });
    // A host that is gone without a word is noticed by the kernel.
    socket.setKeepAlive(true, 5000);
    open.set(name, { channel, exchange });
    log.info({ agent: name }, 'an agent has a link');
  }

  server.on('listening', () => {
    if (trouble !== undefined) log.info({ listen: `${listen.host}:${listen.port}` }, 'agents can come after all');
    trouble = undefined;
  });
  server.on('error', ({ message }) => {
    if (message !== trouble)
      log.warn(
        { reason: message },
        'agents cannot come yet, and nothing is handed over: set "link" to a free port of this host',
      );
    trouble = message;
    timer = setTimeout(() => server.listen(listen), retryMs);
  });
  server.listen(listen);
  return {
    agentOf(socket) {
      const { name, key } = sockets.get(socket as TLSSocket) ?? {};
      return name !== undefined && key !== undefined && keys.get(name) === key ? name : undefined;
    },
    trouble: () => trouble && `no agent can come: ${trouble}`,
    exchangeOf: (name) => open.get(name)?.exchange,
    names: () => [...open.keys()],
    use(next) {
      keys = new Map(Object.entries(next));
      for (const [socket, { name, key }] of sockets) {
        if (keys.get(name) === key) continue;
        if (socket.alpnProtocol === purposes.link) socket.destroy();
        else setTimeout(() => socket.destroy(), leaveMs).unref();
      }
    },
    close: async () => {
      clearTimeout(timer);
      for (const socket of sockets.keys()) socket.destroy();
      if (!server.listening) return;
      server.close();
      await once(server, 'close');
    },
  };
}
