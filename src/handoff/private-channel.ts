import type { ConnectionOptions, TlsOptions } from 'node:tls';

/**
 * The channel between the front and agents: TLS in which both ends prove that they know the agent's secret (RFC 4279,
 * RFC 5489), with keys that are forgotten after each connection.
 */
const cipher = {
  ciphers: 'ECDHE-PSK-CHACHA20-POLY1305',
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.2',
} as const;

/** What a connection is for, by ALPN: frames of connections that move, or requests of an agent for the director. */
export const purposes = { link: 'dsr-link', requests: 'http/1.1' } as const;

/** @param keyOf the secret of an agent, base64url; undefined: nobody of that name */
export const listening = (
  keyOf: (name: string) => string | undefined,
  came: (socket: object, name: string) => void,
): TlsOptions => ({
  ...cipher,
  ALPNProtocols: Object.values(purposes),
  handshakeTimeout: 5000,
  pskCallback: (socket, name) => {
    const key = keyOf(name);
    if (key === undefined) return null;
    came(socket, name);
    return Buffer.from(key, 'base64url');
  },
});

export const connecting = (name: string, key: string, purpose: keyof typeof purposes): ConnectionOptions => ({
  ...cipher,
  ALPNProtocols: [purposes[purpose]],
  // There is no certificate: who does not know the secret gets no further than the handshake.
  checkServerIdentity: () => undefined,
  pskCallback: () => ({ psk: Buffer.from(key, 'base64url'), identity: name }),
});

/** Header fields of such requests: the client for whom an agent asks, and the port that it came to, as "VIP PORT". */
export const clientField = 'dsr-client';
export const serviceField = 'dsr-service';
