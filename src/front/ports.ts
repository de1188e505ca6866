import { createServer, type Server, type Socket } from 'node:net';
import { withPort } from '../core/address.ts';
import type { Tuple } from '../core/handoff/tcp-state.ts';
import type { FrontDesired } from '../handoff-schema.ts';
import type { Service } from './serve.ts';

/** The ports that the front listens on. */
export interface Ports {
  /** By {@link serviceName}. */
  services: ReadonlyMap<string, Service>;
  /** Listens on these and no others; connections of a port that is gone stay until they end. */
  use(desired: Pick<FrontDesired, 'ports'>): void;
  /** Those that cannot be listened on, and why. */
  troubles(): string[];
  /** Takes no new connection. */
  stop(): void;
}

export const serviceName = ({ vip, port }: { vip: string; port: number }): string => `${vip} ${port}`;

/** An address that this host does not have yet, or a port that another program still has. */
const retryMs = 500;

interface Open extends Service {
  server?: Server;
  timer?: NodeJS.Timeout;
  trouble?: string;
}

export function createPorts(
  came: (socket: Socket, tuple: Tuple, service: Service) => void,
  log: Record<'info' | 'warn', (keys: object, message: string) => void>,
): Ports {
  const open = new Map<string, Open>();

  function listen(one: Open): void {
    const { vip, port } = one.port;
    const where = withPort(vip, port);
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      const { remoteAddress, remotePort } = socket;
      if (remoteAddress === undefined || remotePort === undefined) socket.destroy();
      else came(socket, { vip, port, client: remoteAddress, clientPort: remotePort }, one);
    });
    one.server = server;
    server.once('listening', () => {
      if (one.trouble) log.info({ listen: where }, 'listens after all');
      delete one.trouble;
    });
    server.on('error', (error: NodeJS.ErrnoException) => {
      const trouble = `${where}: ${wordsFor[error.code ?? ''] ?? error.message}`;
      if (trouble !== one.trouble) log.warn({ listen: where, reason: trouble }, 'cannot listen yet');
      one.trouble = trouble;
      one.timer = setTimeout(listen, retryMs, one);
    });
    server.listen({ host: vip, port, backlog: 4096 });
  }

  function end({ server, timer }: Open): void {
    clearTimeout(timer);
    server?.removeAllListeners('error');
    server?.on('error', () => {});
    server?.close();
  }

  return {
    services: open,
    use({ ports }) {
      const wanted = new Map(ports.map((port) => [serviceName(port), port]));
      for (const [name, one] of open)
        if (!wanted.has(name)) {
          open.delete(name);
          end(one);
        }
      for (const [name, port] of wanted) {
        const one = open.get(name);
        if (one) one.port = port;
        else {
          const made: Open = { port };
          open.set(name, made);
          listen(made);
        }
      }
    },
    troubles: () => [...open.values()].flatMap(({ trouble }) => trouble ?? []),
    stop() {
      for (const one of open.values()) end(one);
    },
  };
}

const wordsFor: Record<string, string | undefined> = {
  EADDRNOTAVAIL: 'this host does not have the address yet',
  EADDRINUSE:
    'another program has the port: let the web server of this host listen on another one ("local" of the policy), not on all addresses at this one',
};
