// The controller's REST API, as a client of it sees it.
import { request } from 'node:http';
import type { z } from 'zod';
import type { PoolCapacity } from '../../src/core/capacity/pool.ts';
import type { Event, poolSchema, Report } from '../../src/schema.ts';

/** A pool as a user writes it. */
export type PoolText = z.input<typeof poolSchema>;

export interface Answer<T = unknown> {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: T;
}

export interface Written {
  revision: number;
  reconciled: boolean;
  missing: string[];
  draining: string[];
}

export interface Status {
  storedRevision: number;
  reconciledRevision: number;
  pools: Record<
    string,
    {
      well: boolean;
      missing: string[];
      capacity: PoolCapacity;
      vip: { actual: boolean; reason: string };
      realServers: Record<string, Standing>;
    }
  >;
}

export interface Standing {
  weight: number;
  reason: string;
  drain?: { done: boolean; remainingConnections: number };
}

export interface Api {
  /** Any request; every connection is its own. Rejects when nobody answers. */
  call: <T = unknown>(method: string, path: string, body?: unknown) => Promise<Answer<T>>;
  /** Stores a pool and waits until the kernel has it; throws when it is refused. */
  put: (name: string, pool: PoolText, waitMs?: number) => Promise<Answer<Written>>;
  /** Deletes all pools and waits until the kernel is rid of them. */
  clear: () => Promise<void>;
  status: (pool: string) => Promise<Status>;
  events: (after?: number) => Promise<Event[]>;
  /** When an agent last reported, RFC 3339; undefined: never. */
  lastReport: (agent: string) => Promise<string | undefined>;
  /** Speaks as the agents of these names, each with these addresses and fit for these VIPs. */
  speakAs: (agents: Record<string, { addresses: string[]; vips: string[] }>) => Promise<void>;
}

export function connectApi(port: number): Api {
  const call: Api['call'] = <T>(method: string, path: string, body?: unknown) =>
    new Promise<Answer<T>>((resolve, reject) => {
      const text = body === undefined ? undefined : JSON.stringify(body);
      const headers = {
        accept: 'application/json',
        ...(text !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
      };
      const asking = request({ host: '127.0.0.1', port, method, path, headers, agent: false, timeout: 180_000 });
      asking.on('response', async (response) => {
        try {
          const chunks: Buffer[] = [];
          for await (const chunk of response) chunks.push(chunk as Buffer);
          const answer = JSON.parse(Buffer.concat(chunks).toString() || 'null') as T;
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: answer });
        } catch (error) {
          reject(error);
        }
      });
      asking.on('error', reject);
      asking.on('timeout', () => asking.destroy(new Error(`${method} ${path}: no answer in 180 s`)));
      asking.end(text);
    });
  const written = async (method: string, path: string, body?: unknown): Promise<Answer<Written>> => {
    const answer = await call<Written>(method, path, body);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${JSON.stringify(answer.body)}`);
    return answer;
  };
  return {
    call,
    put: (name, pool, waitMs = 60_000) => written('PUT', `/v1/pools/${name}?waitMs=${waitMs}`, pool),
    clear: async () => {
      await written('DELETE', '/v1/pools?waitMs=60000');
    },
    status: async (pool) => (await call<Status>('GET', `/v1/status?pool=${pool}`)).body,
    events: async (after = 0) => (await call<{ events: Event[] }>('GET', `/v1/events?after=${after}`)).body.events,
    lastReport: async (agent) => {
      const { body } = await call<{ agents: Record<string, { lastReport: string | null }> }>('GET', '/v1/agents');
      return body.agents[agent]?.lastReport ?? undefined;
    },
    speakAs: async (agents) => {
      for (const [name, { addresses, vips }] of Object.entries(agents)) {
        const report: Report = {
          protocol: 1,
          machineId: `machine-of-${name}`,
          bootId: 'boot',
          revision: 0,
          addresses,
          vips: Object.fromEntries(vips.map((vip) => [vip, { present: true, suppressed: true }])),
          problems: [],
        };
        await written('POST', `/v1/agents/${name}/report`, report);
      }
    },
  };
}
