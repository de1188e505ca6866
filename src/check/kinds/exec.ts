import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import type { Check } from '../../check-schema.ts';
import type { Outcome } from '../../core/health.ts';
import type { Kind, Probe } from '../open.ts';
import { readError } from './faults.ts';
import { broken, ok, quote, wrong } from './outcomes.ts';
import { ignore, untilAborted } from './stream.ts';

export type ExecCheck = Extract<Check, { type: 'exec' }>;

const MAX_STDERR = 500;

/** Runs a program of the settings with the connection as its standard input and output; exit code 0 is good. */
export const exec: Kind<ExecCheck> = async (probe) => {
  const { check, programs } = probe;
  const [file, ...args] = Object.hasOwn(programs, check.program) ? (programs[check.program] ?? []) : [];
  if (file === undefined)
    return broken(`no program ${quote(check.program)}: add it to "programs" in the controller's config file`);
  const child = start(probe, await probe.open.descriptor(probe.port, probe.protocol, probe.signal), file, args);
  try {
    return await untilAborted<Outcome>(probe.signal, (resolve) => watch(child, check.program, resolve));
  } catch (error) {
    if (!probe.signal.aborted) throw error;
    return { kind: 'timeout', words: `program ${quote(check.program)} does not end within ${check.timeoutMs} ms` };
  } finally {
    if (child.exitCode === null && child.signalCode === null) endGroup(child);
    child.stderr?.destroy();
  }
};

function start({ vip, port }: Probe, descriptor: number, file: string, args: string[]): ChildProcess {
  try {
    const child = spawn(file, args, {
      stdio: [descriptor, descriptor, 'pipe'],
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', DSR_VIP: vip, DSR_PORT: String(port) },
      cwd: '/',
      // A process group of its own, which can be killed as one.
      detached: true,
    });
    return child.on('error', ignore);
  } finally {
    closeSync(descriptor);
  }
}

function watch(child: ChildProcess, program: string, resolve: (outcome: Outcome) => void): void {
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    if (stderr.length < MAX_STDERR) stderr = (stderr + text).slice(0, MAX_STDERR);
  });
  child.on('error', (error) => resolve(broken(`program ${quote(program)} cannot be run: ${readError(error).message}`)));
  // What it left running may hold its standard error open.
  child.on('exit', () => endGroup(child));
  child.on('close', (code, signal) => {
    if (code === 0) return resolve(ok('exit code 0'));
    const how = signal ? `was ended by ${signal}` : `exit code ${code}`;
    const said = stderr.trim();
    resolve(wrong(`program ${quote(program)}: ${how}${said ? `, ${quote(said, 120)}` : ''}`));
  });
}

/** Kills the program and all that it has started in its group; when nobody is left in it, that is well. */
function endGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if (readError(error).code !== 'ESRCH') throw error;
  }
}
