import { once } from 'node:events';
import type { Server as HttpServer } from 'node:http';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { type Channel, openChannel } from '../handoff/channel.ts';
import { createExchange, type Exchange, type ExchangeOptions } from '../handoff/exchange.ts';
import { listening, purposes } from '../handoff/private-channel.ts';
import type { Frame } from '../handoff-schema.ts';

/** The agents that have a link to this front. */
export interface Links {
  /** Undefined: that agent has none now. */
  exchangeOf(name: string): Exchange | undefined;
  /** Those whose secret is no longer the same lose their link. */
  use(keys: Readonly<Record<string, string>>): void;
  names(): string[];
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
  log: Record<'info' | 'warn', (keys: object, message: string) => void>;
}

/** Listens for agents. Rejects where the address is taken. */
export async function listenForAgents({ listen, http, exchangeWith, told, log }: LinkOptions): Promise<Links> {
  let keys = new Map<string, string>();
  const names = new WeakMap<object, string>();
  const open = new Map<string, { channel: Channel; exchange: Exchange; key: string | undefined }>();
  const sockets = new Set<TLSSocket>();
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
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.setNoDelay(true);
    if (socket.alpnProtocol === purposes.requests) http.emit('connection', socket);
    else link(name, socket);
  });
  server.on('tlsClientError', (error, socket) => {
    log.warn({ from: socket.remoteAddress, reason: error.message }, "somebody does not know an agent's secret");
  });

  function link(name: string, socket: TLSSocket): void {
    open.get(name)?.channel.close();
    const channel = openChannel(socket, {
      received: (frame) => {
        if (!exchange.received(frame)) told(name, frame);
      },
      closed: (error) => {
        exchange.closed();
        if (open.get(name)?.channel === channel) open.delete(name);
        log.info({ agent: name, ...(error && { reason: error.message }) }, 'the link of an agent is gone');
      },
    });
    const exchange = createExchange({ ...exchangeWith(name), channel });
    // A host that is gone without a word is noticed by the kernel.
    socket.setKeepAlive(true, 5000);
    open.set(name, { channel, exchange, key: keys.get(name) });
    log.info({ agent: name }, 'an agent has a link');
  }

  server.listen(listen);
  await once(server, 'listening');
  return {
    exchangeOf: (name) => open.get(name)?.exchange,
    names: () => [...open.keys()],
    use(next) {
      keys = new Map(Object.entries(next));
      for (const [name, { channel, key }] of open) if (keys.get(name) !== key) channel.close();
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
