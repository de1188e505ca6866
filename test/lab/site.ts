// One lab with our programs in it, shared by the tests of a file.
import { join } from 'node:path';
import type { Test } from 'tap';
import type { Host, Program } from '../../infra/lab/host.ts';
import { type Lab, type LabOptions, makeLab } from '../../infra/lab/hosts.ts';
import { startApiBridge } from '../../infra/lab/parts.ts';
import { type WaitOptions, waitFor } from '../../infra/lab/wait.ts';
import { type Api, connectApi } from './api.ts';

const repository = join(import.meta.dirname, '../..');
const program = (file: string): string[] => [process.execPath, join(repository, 'dist', file)];
export const controllerFile = 'src/controller.js';
export const agentFile = 'agents/agent.js';

export interface Site extends Lab {
  api: Api;
  rs1: Host;
  rs2: Host;
  /** Starts the controller on the director. Flags by their names, such as { interface: 'eth1' }. */
  spawnController: (flags?: Flags) => Program;
  /** The same, and waits for its API. */
  startController: (flags?: Flags) => Promise<Program>;
  /** Starts the agent of a host. */
  startAgent: (host: Host, flags?: Flags, env?: Record<string, string>) => Program;
  /** Starts any program in a host; what it said last is told when a wait is over. */
  start: (host: Host, name: string, argv: string[], env?: Record<string, string>) => Program;
  /** Runs a command of the agent of a host, such as teardown, to its end. */
  runAgent: (host: Host, command: string) => Promise<unknown>;
  /** As {@link waitFor}; the programs' last words are told when time is up. */
  until: <T>(condition: () => Promise<T> | T, what: string, timeoutMs?: number) => Promise<NonNullable<T>>;
}

export type Flags = Record<string, string>;

/** The command line of one of our programs. */
export function ours(file: string, flags: Flags, ...words: string[]): string[] {
  return [...program(file), ...Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]), ...words];
}

export const controllerFlags = (host: Host): Flags => ({
  interface: 'eth0',
  listen: `${host.ip}:7100`,
  insecure: 'true',
});

export const agentFlags = (host: Host, director: Host): Flags => ({
  controller: `http://${director.ip}:7100`,
  name: host.name,
  insecure: 'true',
});

/** Makes the hosts; nothing of ours runs yet. */
export async function makeSite(t: Test, options: LabOptions = {}): Promise<Site> {
  if (process.env.DSR_LAB !== '1') throw new Error('this needs a kernel of its own: npm test -- test/lab');
  t.setTimeout(1_500_000);
  const lab = await makeLab({ realServers: 2, mbit: 0, ...options });
  const bridge = await startApiBridge(lab.director, lab.director.dir, ['127.0.0.1:7100']);
  t.teardown(async () => {
    await bridge.end('SIGKILL');
    await lab.close();
  });
  const api = connectApi(7100);
  const started = new Set<Program>();
  const explain = async () => (await Promise.all([...started].map((one) => one.tail()))).join('\n');
  const until: Site['until'] = (condition, what, timeoutMs?: number) =>
    waitFor(condition, { what, explain, ...(timeoutMs && { timeoutMs }) } satisfies WaitOptions);
  const start: Site['start'] = (host, name, argv, env) => {
    const one = host.spawn(name, argv, env ? { env } : {});
    started.add(one);
    void one.ended.then(() => started.delete(one));
    return one;
  };
  const spawnController: Site['spawnController'] = (flags = {}) => {
    const { director } = lab;
    return start(director, 'controller', ours(controllerFile, { ...controllerFlags(director), ...flags }));
  };
  const [rs1, rs2] = lab.realServers as [Host, Host];
  return {
    ...lab,
    api,
    rs1,
    rs2,
    until,
    start,
    spawnController,
    startController: async (flags = {}) => {
      const controller = spawnController(flags);
      await until(async () => (await api.call('GET', '/v1/status')).status === 200, 'the API to answer');
      return controller;
    },
    startAgent: (host, flags = {}, env) =>
      start(host, 'agent', ours(agentFile, { ...agentFlags(host, lab.director), ...flags }), env),
    runAgent: (host, command) => host.exec(ours(agentFile, agentFlags(host, lab.director), command)),
  };
}
