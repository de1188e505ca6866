import { execFileSync, type SpawnOptions, spawn } from 'node:child_process';
import koffi from 'koffi';
import type { Test } from 'tap';
import { typescript } from '../typescript.ts';

const CLONE_NEWNET = 0x4000_0000;

/** A test that needs root on a real kernel with IPVS: it runs in the lab only, in a network of its own. */
export function lab(t: Test, name: string, body: (t: Test) => Promise<void>): void {
  t.setTimeout(300_000);
  const skip = process.env.DSR_LAB === '1' ? false : 'needs the lab (npm test sets it up)';
  t.test(name, { skip, timeout: 280_000 }, async (t) => {
    freshNetwork();
    await body(t);
  });
}

/** Gives this process, and what it starts from now on, a network of its own with nothing but lo. */
export function freshNetwork(): void {
  const unshare = koffi.load(null).func('int unshare(int flags)');
  if (unshare(CLONE_NEWNET) !== 0) throw new Error(`unshare: errno ${koffi.errno()}`);
  sh('modprobe ipv6 || true; ip link set lo up');
}

/** What a shell command prints. Throws with its errors when it fails. */
export const sh = (command: string): string =>
  execFileSync('sh', ['-ec', command], { encoding: 'utf8', stdio: 'pipe' });

/** What `ip -j …` says, parsed. */
export const ipJson = (args: string): never => JSON.parse(sh(`ip -j ${args}`) || '[]') as never;

/** Another host: a network of its own, gone with {@link Host.close}. */
export interface Host {
  sh: (command: string) => string;
  spawn: (command: string, options?: SpawnOptions) => ReturnType<typeof spawn>;
  close: () => void;
}

/** A host at the other end of a wire: `inner` is our interface, `outer` the other host's; both are up. */
export function wiredHost(inner: string, outer: string): Host {
  const holder = spawn('unshare', ['--net', 'sleep', 'infinity'], { stdio: 'ignore' });
  const ns = `/proc/${holder.pid}/ns/net`;
  // Until unshare has run, the new host's network is still ours.
  sh(`for i in $(seq 3000); do [ "$(readlink ${ns})" != "$(readlink /proc/self/ns/net)" ] && break; sleep 0.01; done`);
  const inside = (command: string) => `nsenter --net=${ns} sh -ec '${command}'`;
  const host: Host = {
    sh: (command) => sh(inside(command)),
    spawn: (command, options) => spawn('nsenter', [`--net=${ns}`, 'sh', '-c', `exec ${command}`], options ?? {}),
    close: () => holder.kill('SIGKILL'),
  };
  sh(`ip link add ${inner} type veth peer name ${outer} netns ${holder.pid}; ip link set ${inner} up`);
  host.sh(`ip link set lo up; ip link set ${outer} up`);
  return host;
}

/** In a shell: a node of its own, which tap does not follow. */
export const plainNode = `env -i PATH="$PATH" node ${typescript.join(' ')}`;

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Asks until the answer is yes, at most `ms` long; answers how long it took, or undefined. */
export async function until(yes: () => boolean, ms: number): Promise<number | undefined> {
  const since = performance.now();
  while (!yes()) {
    if (performance.now() - since > ms) return undefined;
    await sleep(5);
  }
  return performance.now() - since;
}
