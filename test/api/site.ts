import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { InjectOptions } from 'fastify';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { buildApi } from '../../src/api/app.ts';
import type { TlsIdentity } from '../../src/api/connections.ts';
import type { Api, ApiContext } from '../../src/api/context.ts';
import { watchFront } from '../../src/api/front.ts';
import type { State } from '../../src/core/state.ts';
import { startCapacity } from '../../src/director/capacity.ts';
import { type Director, startDirector } from '../../src/director/reconcile.ts';
import { startTraffic, type TrafficBook } from '../../src/director/traffic.ts';
import { startWitness, vipsHeld } from '../../src/director/witness.ts';
import { createSignal, type Signal, until } from '../../src/loop.ts';
import type { Report } from '../../src/schema.ts';
import { type AgentRegistry, createAgentRegistry } from '../../src/store/agents.ts';
import type { Document } from '../../src/store/document.ts';
import { createEvents, type Events } from '../../src/store/events.ts';
import { openAgents, openEvents, openPeaks, openState } from '../../src/store/state.ts';
import { createFakeKernel, type FakeKernel } from '../fake-kernel.ts';
import { createFakeHealth, type FakeHealth } from '../health.ts';

/** How long something may take on a busy machine before it counts as never. */
export const patienceMs = 60_000;
t.setTimeout(300_000);

export const problemJson = 'application/problem+json';

/** An answer of the API, with its JSON read. */
export interface Answer {
  status: number;
  headers: Record<string, string | undefined>;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came
  body: any;
}

/** A whole controller on a fake kernel: real store, real loop, real API. */
export interface Controller {
  api: Api;
  dir: string;
  kernel: FakeKernel;
  state: Document<State>;
  agents: AgentRegistry;
  events: Events;
  director: Director;
  health: FakeHealth;
  traffic: TrafficBook;
  call(method: string, url: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** An agent says that its host is fit for these VIPs. */
  attest(name: string, address: string, vips: string[], more?: Partial<Report>): void;
  /** Waits until the last pass over the kernel fulfils `condition`. */
  when(condition: () => boolean): Promise<void>;
  /** Waits until as many polls and streams wait for news as this. */
  whenWaiting(count: number): Promise<void>;
  /** Listens on loopback; answers the base URL. */
  listen(): Promise<string>;
  stop(): Promise<void>;
}

export interface ControllerOptions {
  dir?: string;
  kernel?: FakeKernel;
  manageVip?: boolean;
  /** Keeps this many events. */
  eventLimit?: number;
  /** Everybody is trusted without it. */
  trust?: ApiContext['trust'];
  /** Of the server; plain HTTP without it. */
  tls?: TlsIdentity;
  reach?: ApiContext['reach'];
  /** Finds nothing without it. */
  examine?: ApiContext['examine'];
}

/** A folder that is gone with the test, with its neighbours. */
export function folder(t: Test): string {
  // Where memory can be a disk, syncing a file takes no time.
  const base = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'dsr-'));
  t.teardown(() => rmSync(base, { recursive: true, force: true }));
  const dir = join(base, 'dir');
  mkdirSync(dir);
  return dir;
}

export async function startController(t: Test, options: ControllerOptions = {}): Promise<Controller> {
  const dir = options.dir ?? folder(t);
  const kernel = options.kernel ?? createFakeKernel();
  const manageVip = options.manageVip ?? true;
  const log = pino({ level: 'silent' });
  const stateChanged = createSignal();
  const state = openState(dir, stateChanged.notify);
  const events = createEvents(openEvents(dir), () => {}, Date.now, options.eventLimit);
  const knownAgents = openAgents(dir);
  const agents = createAgentRegistry(knownAgents, events, () => director.wake());
  const waiters = countWaiters(stateChanged, events.added);
  const health = createFakeHealth();
  const traffic = startTraffic({ kernel, interface: 'eth0', speedMbit: 100, log });
  const director = startDirector({
    kernel,
    state,
    agents: agents.all,
    health,
    cards: traffic.cards,
    connect: async () => undefined,
    events,
    interface: 'eth0',
    manageVip,
    log,
  });
  const capacity = startCapacity({ traffic, director, state, peaks: openPeaks(dir, () => {}), log });
  const witness = startWitness({
    kernel,
    interface: 'eth0',
    vips: () => vipsHeld(director),
    names: traffic.names,
    events,
    log,
  });
  const api = await buildApi(
    {
      state,
      stateChanged,
      agents,
      events,
      director,
      health,
      traffic,
      capacity,
      witness,
      examine: options.examine ?? (async () => []),
      trust: options.trust,
      reach: options.reach,
      linkKeys: (name, machineId) => Buffer.from(`${name} ${machineId}`).toString('base64url'),
      front: watchFront(),
      version: '0.0.0',
      interface: 'eth0',
      manageVip,
    },
    log,
    options.tls,
  );
  let stopped = false;
  const stop = async () => {
    if (stopped) return;
    stopped = true;
    await api.close();
    await director.stop();
    await witness.stop();
    await capacity.stop();
    await traffic.stop();
    await events.stop();
    kernel.close();
    await knownAgents.change((same) => same);
  };
  t.teardown(stop);
  return {
    api,
    dir,
    kernel,
    state,
    agents,
    events,
    director,
    health,
    traffic,
    call: (method, url, body, headers = {}) => call(api, method, url, body, headers),
    attest: (name, address, vips, more = {}) => agents.report(name, fitReport(name, address, vips, more)),
    when: async (condition) => {
      const met = await until(director.passed, () => condition() || undefined, patienceMs);
      if (!met) throw new Error(`never: ${condition}`);
    },
    whenWaiting: async (count) => {
      const met = await until(waiters.changed, () => waiters.count() === count || undefined, patienceMs);
      if (!met) throw new Error(`${waiters.count()} wait, not ${count}`);
    },
    listen: () => api.listen({ host: '127.0.0.1', port: 0 }),
    stop,
  };
}

/** Counts who waits for these signals now. */
function countWaiters(...signals: Signal[]): { count(): number; changed: Signal } {
  const changed = createSignal();
  let waiting = 0;
  for (const signal of signals) {
    const { next } = signal;
    signal.next = async (...args) => {
      waiting++;
      changed.notify();
      const notified = await next(...args);
      waiting--;
      changed.notify();
      return notified;
    };
  }
  return { count: () => waiting, changed };
}

async function call(
  api: Api,
  method: string,
  url: string,
  body: unknown,
  headers: Record<string, string>,
): Promise<Answer> {
  const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
  const answer = await api.inject({
    method: method as NonNullable<InjectOptions['method']>,
    url,
    headers: { ...(body !== undefined && { 'content-type': type }), ...headers },
    ...(body !== undefined && { payload: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const json = String(answer.headers['content-type']).includes('json');
  return {
    status: answer.statusCode,
    headers: answer.headers as Answer['headers'],
    body: json && answer.body ? JSON.parse(answer.body) : answer.body,
  };
}

export function fitReport(name: string, address: string, vips: string[], more: Partial<Report> = {}): Report {
  return {
    protocol: 1,
    machineId: `machine-of-${name}`,
    bootId: 'boot',
    revision: 0,
    addresses: [address],
    vips: Object.fromEntries(vips.map((vip) => [vip, { present: true, suppressed: true }])),
    problems: [],
    ...more,
  };
}

/** Everything that a refused write must leave as it was; the ledger is the loop's own. */
export const whole = (c: Controller): string => JSON.stringify({ ...c.state.get(), ledger: undefined });

/** Fails unless the answer is a problem (RFC 9457) with this status and code. */
export function isProblem(t: Test, answer: Answer, status: number, code: string, path?: string): void {
  t.equal(answer.status, status, `status ${status}`);
  t.equal(answer.headers['content-type'], problemJson);
  t.match(answer.body, { type: 'about:blank', title: String, status, code, detail: /./ });
  if (path !== undefined) {
    t.equal(answer.body.path, path, `it names the field "${path}"`);
    t.equal(answer.body.errors?.[0]?.path, path);
    t.match(answer.body.errors?.[0]?.message, /./);
  }
}

export const vip = '192.0.2.100';

/** What a pool has that does not say otherwise. */
export const poolDefaults = {
  attestation: 'required',
  agentTimeoutMs: 5000,
  slowStartMs: 0,
  balance: 'weights',
  maxEjectedPercent: 50,
  fallback: 'refuse',
};

/** The pool of the README, without checks. */
export const webPool = () => ({
  vip,
  ports: { '80/tcp': { policy: 'real-servers', scheduler: 'wlc' }, '8080/tcp': { policy: 'director' } },
  realServers: {
    rs1: { address: '192.0.2.11', weight: 100, state: 'active' },
    rs2: { address: '192.0.2.12', weight: 100, state: 'active' },
  },
});
