// Restarts each machine in turn, and looks on until everything has returned by itself.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { vip } from '../lab/hosts.ts';
import { waitFor } from '../lab/wait.ts';
import type { Machine, Machines } from './machines.ts';
import { serves } from './prove.ts';

const patienceMs = 600_000;

export interface Return {
  name: string;
  /** From the command until the machine had booted, and until the pool served with all its servers; seconds. */
  booted: number;
  served: number;
  /** Requests of the client meanwhile, one after the other, and those that failed; absent for the client itself. */
  requests?: { all: number; failed: number };
}

/** Restarts these machines one after the other. Throws when something does not return in ten minutes. */
export async function rebootEach(machines: Machines, names: string[], tell: (line: string) => void): Promise<Return[]> {
  const returns: Return[] = [];
  for (const name of names) {
    await waitFor(() => serves(machines), { what: 'the pool to serve', timeoutMs: patienceMs, everyMs: 5000 });
    const back = await reboot(machines, machines.hosts[name] as Machine);
    const { booted, served, requests } = back;
    const meanwhile = requests ? `; of ${requests.all} requests meanwhile ${requests.failed} failed` : '';
    tell(`${name}: booted after ${booted.toFixed(0)} s, all serve again after ${served.toFixed(0)} s${meanwhile}`);
    returns.push(back);
  }
  return returns;
}

async function reboot(machines: Machines, { name, run }: Machine): Promise<Return> {
  const bootId = (): Promise<string> => run('cat /proc/sys/kernel/random/boot_id', { timeoutMs: 60_000 });
  const before = await bootId();
  const requests = name === 'client' ? undefined : keepAsking(machines.client);
  const start = performance.now();
  const seconds = (): number => (performance.now() - start) / 1000;
  // The connection may end before the command does.
  await run('sudo systemctl reboot', { timeoutMs: 60_000 }).catch(() => {});
  await waitFor(async () => (await bootId()) !== before, {
    what: `${name} to boot`,
    timeoutMs: patienceMs,
    everyMs: 5000,
  });
  const booted = seconds();
  const program = { director: 'dsr-controller', router: '', client: '' }[name] ?? 'dsr-agent';
  await waitFor(
    async () => {
      if (program) await run(`systemctl is-active --quiet ${program}`);
      return serves(machines);
    },
    { what: `everything to return after ${name}`, timeoutMs: patienceMs, everyMs: 5000 },
  );
  const served = seconds();
  await sleep(2000);
  return { name, booted, served, ...(requests && { requests: requests.stop() }) };
}

/** Has the client ask the VIP, on a new connection twice a second. */
function keepAsking({ enter }: Machine): { stop: () => { all: number; failed: number } } {
  const script = `while :; do
  curl --silent --max-time 5 --output /dev/null --write-out '%{http_code}\n' http://${vip}/healthz
  read -r -t 0.5 _; [ $? -gt 128 ] || exit
done`;
  const [file = '', ...rest] = enter(['bash', '-c', script]);
  const child = spawn(file, rest, { stdio: ['pipe', 'pipe', 'inherit'] });
  const counts = { all: 0, failed: 0 };
  createInterface({ input: child.stdout }).on('line', (code) => {
    counts.all += 1;
    if (code !== '200') counts.failed += 1;
  });
  return {
    stop: () => {
      child.stdin.end();
      return counts;
    },
  };
}
