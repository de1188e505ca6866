import { createServer, type Server, type Socket } from 'node:net';
import { familyOf } from '../../src/core/address.ts';
import { listenOnlyFor } from '../../src/kernel/listener.ts';

/** Listens on a port of a VIP for the director's probes; whatever else comes there is dropped without a word. */
export interface TarPit {
  /** Addresses that probes come from. */
  probers(addresses: readonly string[]): void;
  close(): void;
}

/**
 * Clients' packets for a connection that is not here yet, or no longer, must get no RST from this host's kernel. Throws
 * KernelError EADDRINUSE or EADDRNOTAVAIL.
 */
export function openTarPit(
  vip: string,
  port: number,
  probers: readonly string[],
  came: (socket: Socket) => void,
): TarPit {
  const ofFamily = (list: readonly string[]) => list.filter((one) => familyOf(one) === familyOf(vip));
  const listener = listenOnlyFor(vip, port, ofFamily(probers));
  const server: Server = createServer({ allowHalfOpen: true, noDelay: true }, came);
  server.on('error', () => {});
  server.listen({ fd: listener.fd });
  return {
    probers: (addresses) => listener.only(ofFamily(addresses)),
    close: () => {
      server.close();
    },
  };
}
