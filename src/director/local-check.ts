import { createConnection } from 'node:net';
import { type Services, serviceId, serviceKey } from '../core/kernel-state.ts';
import { type LocalPorts, localPortProblem, localPortWell, localTimeoutMs } from '../core/local-ports.ts';
import { isForwarded, type Pools } from '../schema.ts';
import type { Events } from '../store/events.ts';

/** Tries one TCP connection; answers the name of the error, or undefined when it was accepted. Never rejects. */
export type Connect = (address: string, port: number, timeoutMs: number) => Promise<string | undefined>;

/** Connects to the ports that stay on this host, each about once a second, and tells when one changes. */
export interface LocalChecks {
  /** Checks what is to be checked by this look at the kernel from now on; answers how the last connections ended. */
  follow(pools: Pools, look: LocalLook): LocalPorts['connections'];
  stop(): void;
}

export interface LocalLook {
  services: Services;
  localAddresses: ReadonlySet<string>;
  listening: ReadonlyMap<string, boolean>;
}

export interface LocalCheckOptions {
  connect: Connect;
  events: Events;
  /** Told when a connection ended otherwise than the one before. */
  changed: () => void;
  /** Between the end of a connection and the next. */
  pauseMs?: number;
}

interface Checked {
  vip: string;
  port: number;
  /** Of the last connection; absent before the first has ended. */
  result?: { code: string | undefined };
  timer?: NodeJS.Timeout;
}

/**
 * Only TCP ports where something listens, whose VIP is on this host, and that have no IPVS service, which would balance
 * the connection. For the same reason a destination that is the director itself (LocalNode) is judged by its listener
 * alone, and never by a connection to the VIP.
 */
export function startLocalChecks({ connect, events, changed, pauseMs = 1000 }: LocalCheckOptions): LocalChecks {
  const checked = new Map<string, Checked>();
  /** What was last told of each port: what is wrong, or undefined when it is well. */
  const told = new Map<string, string | undefined>();

  async function check(key: string, one: Checked): Promise<void> {
    const code = await connect(one.vip, one.port, localTimeoutMs);
    if (checked.get(key) !== one) return;
    const isNew = !one.result || one.result.code !== code;
    one.result = { code };
    one.timer = setTimeout(check, pauseMs, key, one);
    if (isNew) changed();
  }

  function forget(key: string): void {
    clearTimeout(checked.get(key)?.timer);
    checked.delete(key);
  }

  return {
    follow(pools, { services, localAddresses, listening }) {
      const connections = new Map<string, string | undefined>();
      const [known, wanted] = [new Set<string>(), new Set<string>()];
      for (const [pool, { vip, ports }] of Object.entries(pools))
        for (const [name, port] of Object.entries(ports)) {
          if (isForwarded(port)) continue;
          const id = serviceId(vip, name);
          const key = serviceKey(id);
          known.add(key);
          if (id.protocol === 'tcp' && listening.get(key) && localAddresses.has(vip) && !services.has(key)) {
            wanted.add(key);
            const one: Checked = checked.get(key) ?? { vip, port: id.port };
            if (!checked.has(key)) {
              checked.set(key, one);
              void check(key, one);
            }
            // What was told before holds until this is known.
            if (!one.result) continue;
            connections.set(key, one.result.code);
          }
          const problem = localPortProblem(id, { listening, connections });
          if (problem === told.get(key)) continue;
          told.set(key, problem);
          if (problem) events.add('director-port-down', problem, { pool, vip });
          else events.add('director-port-up', localPortWell(id, { listening, connections }), { pool, vip });
        }
      for (const key of checked.keys()) if (!wanted.has(key)) forget(key);
      for (const key of told.keys()) if (!known.has(key)) told.delete(key);
      return connections;
    },
    stop: () => [...checked.keys()].forEach(forget),
  };
}

/** A plain TCP connection of this host, closed as soon as it is there. */
export const connectLocally: Connect = (host, port, timeoutMs) =>
  new Promise((resolve) => {
    const socket = createConnection({ host, port });
    const end = (code?: string) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(code);
    };
    const timer = setTimeout(end, timeoutMs, 'ETIMEDOUT');
    socket.once('connect', () => end());
    socket.on('error', ({ code, message }: NodeJS.ErrnoException) => end(code ?? message));
  });
