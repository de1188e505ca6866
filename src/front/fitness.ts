import { createConnection } from 'node:net';
import type { FrontPort } from '../handoff-schema.ts';

/** Whether the servers that clients are redirected to accept connections, tried about once a second. */
export interface Fitness {
  /** Tries those of these ports from now on. */
  use(ports: readonly FrontPort[]): void;
  /** Not before the first try has succeeded. */
  isFit(address: string, port: number): boolean;
  stop(): void;
}

export interface FitnessOptions {
  changed(where: string, isFit: boolean): void;
  everyMs?: number;
  timeoutMs?: number;
}

interface Checked {
  address: string;
  port: number;
  isFit: boolean;
  failures: number;
  timer?: NodeJS.Timeout;
}

/** One that was fit is so until it has failed so often in a row. */
const fall = 3;

export function createFitness({ changed, everyMs = 1000, timeoutMs = 2000 }: FitnessOptions): Fitness {
  const checked = new Map<string, Checked>();

  async function check(key: string, one: Checked): Promise<void> {
    const isGood = await accepts(one.address, one.port, timeoutMs);
    if (checked.get(key) !== one) return;
    one.failures = isGood ? 0 : one.failures + 1;
    const isFit = isGood || (one.isFit && one.failures < fall);
    if (isFit !== one.isFit) changed(key, isFit);
    one.isFit = isFit;
    one.timer = setTimeout(check, everyMs, key, one);
  }

  const forget = (key: string) => {
    clearTimeout(checked.get(key)?.timer);
    checked.delete(key);
  };

  return {
    use(ports) {
      const wanted = new Map<string, { address: string; port: number }>();
      for (const { policy, servers } of ports)
        for (const { name, address } of policy.engine === 'redirect' ? servers : []) {
          const host = policy.redirect?.hosts[name];
          if (host !== undefined) wanted.set(keyOf(address, portOf(host)), { address, port: portOf(host) });
        }
      for (const key of checked.keys()) if (!wanted.has(key)) forget(key);
      for (const [key, at] of wanted) {
        if (checked.has(key)) continue;
        const one: Checked = { ...at, isFit: false, failures: 0 };
        checked.set(key, one);
        void check(key, one);
      }
    },
    isFit: (address, port) => checked.get(keyOf(address, port))?.isFit ?? false,
    stop: () => [...checked.keys()].forEach(forget),
  };
}

/** The port of a host name such as "img1.example.com:8080". */
export const portOf = (host: string): number => Number(/:(\d+)$/.exec(host)?.[1] ?? 80);

const keyOf = (address: string, port: number) => `${address} ${port}`;

const accepts = (host: string, port: number, timeoutMs: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = createConnection({ host, port, timeout: timeoutMs });
    const end = (isGood: boolean) => {
      socket.destroy();
      resolve(isGood);
    };
    socket.once('connect', () => end(true));
    socket.once('timeout', () => end(false));
    socket.once('error', () => end(false));
  });
