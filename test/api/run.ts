import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { typescript } from '../typescript.ts';

/** How a program of this package ended. */
export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

export const root = fileURLToPath(new URL('../..', import.meta.url));
export const programs = { controller: 'src/controller.ts', agent: 'agents/agent.ts' } as const;

/** Starts a program of this package from its source; `wrap` is a command that runs it, such as setpriv. */
export function start(program: string, args: string[], env: NodeJS.ProcessEnv = {}, wrap: string[] = []) {
  const clean = Object.fromEntries(Object.entries(process.env).filter(([key]) => !/^(DSR_|TAP|NODE_)/.test(key)));
  const [command = '', ...rest] = [...wrap, process.execPath, ...typescript, program, ...args];
  return spawn(command, rest, { cwd: root, env: { ...clean, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Runs a program to its end; one that does not end by itself is stopped after a minute. */
export async function run(...call: Parameters<typeof start>): Promise<Ended> {
  const child = start(...call);
  const timer = setTimeout(() => child.kill('SIGKILL'), 60_000);
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  clearTimeout(timer);
  return { code, stdout, stderr };
}
