import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { readdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import type { Test } from 'tap';
import { folder } from '../api/site.ts';

/** A machine of its own under systemd, with this one's programs and kernel, whose disk lies in memory. */
export interface Machine {
  /** Seen inside as /share. */
  share: string;
  /** Runs lines of bash; fails with what they printed when one of them fails. */
  run(lines: string): Promise<string>;
  /** Resolves when the machine has ended. */
  ended: Promise<unknown>;
}

const script = join(import.meta.dirname, 'machine.sh');
const cgroups = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup'];

/** Why no machine can be booted here; false when one can. */
export const noMachine: string | false =
  process.getuid?.() !== 0
    ? 'needs root'
    : !existsSync('/lib/systemd/systemd')
      ? 'systemd is not installed'
      : !existsSync('/usr/bin/dbus-daemon')
        ? 'dbus is not installed'
        : !existsSync('/proc/self/ns/cgroup')
          ? 'this kernel has no cgroup namespaces'
          : false;

/** Boots one; it ends with the test. */
export async function bootMachine(t: Test): Promise<Machine> {
  const share = folder(t);
  const name = `${process.pid}-${Math.random().toString(36).slice(2)}`;
  const namespaces = ['--mount', '--pid', '--fork', '--net', '--uts', '--ipc', '--cgroup', '--kill-child=SIGKILL'];
  const child = spawn('unshare', [...namespaces, '--', 'bash', script, share, name], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, NODE: process.execPath },
  });
  let said = '';
  child.stderr.on('data', (chunk) => {
    said += chunk;
  });
  const ended = once(child, 'exit');
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
    await removeCgroups(`dsr-test-${name}`);
  });
  const run = async (lines: string) => {
    const [pid = ''] = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').split(' ');
    if (pid === '') throw new Error(`the machine is not there: ${said}`);
    const inside = ['-m', '-p', '-n', '-u', '-i', '-C', '-r', '-w', '--', 'bash', '-euo', 'pipefail', '-s'];
    const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8', HOME: '/root', SYSTEMD_PAGER: '' };
    const options = { input: lines, all: true, reject: false, env, extendEnv: false, timeout: 400_000 } as const;
    const { all, failed } = await execa('nsenter', ['-t', pid, ...inside], options);
    if (failed) throw new Error(`${lines}\n--\n${all}`);
    return all;
  };
  for (let tries = 0; tries < 900; tries++) {
    await sleep(200);
    const state = await run('systemctl is-system-running || true').catch((error: Error) => error.message);
    if (/^(running|degraded)$/.test(state.trim())) return { share, run, ended };
    if (child.exitCode !== null) break;
  }
  throw new Error(`the machine did not boot: ${said}`);
}

/** Those of a machine that has ended; its processes go on ending for a moment. */
async function removeCgroups(name: string): Promise<void> {
  const remove = async (path: string): Promise<void> => {
    for (const entry of await readdir(path, { withFileTypes: true }))
      if (entry.isDirectory()) await remove(join(path, entry.name));
    await rmdir(path);
  };
  for (const path of cgroups.map((base) => join(base, name)).filter((one) => existsSync(one)))
    for (let tries = 0; tries < 20; tries++) {
      if (await remove(path).then(() => true, () => false)) break; // biome-ignore format: short
      await sleep(100);
    }
}
