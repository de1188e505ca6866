import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { endWith } from './problems.ts';

/** How long a connection may take over its handshake and over the head of a request, and over a whole request. */
const headMs = 10_000;
const requestMs = 30_000;
/** Connections of one address that have asked nothing yet; beyond it the oldest of them go. */
const mostPending = 256;
/** A connection on which nothing moves for so long ends: who does not read what he asked for. No answer waits longer. */
const stillMs = 90_000;

const times = {
  headersTimeout: headMs,
  requestTimeout: requestMs,
  keepAliveTimeout: 10_000,
  connectionsCheckingInterval: 2000,
};

/** Certificates and key as PEM. */
export interface TlsIdentity {
  cert: string;
  key: string;
}

/** A server that waits for nobody for long. @param tls undefined: plain HTTP */
export function openServer(handler: RequestListener, tls: TlsIdentity | undefined): Server {
  const server = tls
    ? (createTlsServer({ ...times, ...tls, handshakeTimeout: headMs, minVersion: 'TLSv1.2' }, handler) as Server)
    : createServer(times, handler);
  server.setTimeout(stillMs);
  endSlowConnections(server, tls !== undefined);
  return server;
}

/**
 * Keeps those who open connections and are slow to ask from taking the places of others: a new connection is always
 * taken, and when too many from one address have asked nothing yet, the oldest of those ends with 408.
 */
function endSlowConnections(server: Server, isTls: boolean): void {
  /** By address, and there by port. */
  const pending = new Map<string, Map<number, Socket>>();
  const remove = (address: string, port: number, socket?: Socket) => {
    const from = pending.get(address);
    if (!from || (socket && from.get(port) !== socket)) return;
    from.delete(port);
    if (from.size === 0) pending.delete(address);
  };
  const arrived = (socket: Socket) => {
    const { remoteAddress: address = '', remotePort: port = 0 } = socket;
    const from = pending.get(address) ?? new Map<number, Socket>();
    // With TLS it comes a second time, when the handshake is done.
    pending.set(address, from.set(port, socket));
    socket.once('close', () => remove(address, port, socket));
    const [oldest] = from;
    if (from.size <= mostPending || !oldest) return;
    remove(address, oldest[0]);
    if (isTls && !(oldest[1] instanceof TLSSocket)) oldest[1].destroy();
    else endWith(oldest[1], 'REQUEST_TIMEOUT', 'this connection took too long to ask for something: others wait too');
  };
  server.on('connection', arrived);
  server.on('secureConnection', arrived);
  server.on('request', ({ socket }) => remove(socket.remoteAddress ?? '', socket.remotePort ?? 0));
}
