// How long the programs take to put right what somebody else did, told by the kernel.
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import type { Host } from '../../infra/lab/host.ts';
import { waitFor } from '../../infra/lab/wait.ts';

/**
 * Checks that something takes less than a second. Where it did not, the guest may have been held up (it has one CPU, and
 * shares that): then the median of three must be below a second and five times what starting a process takes now.
 */
export async function withinASecond(t: Test, host: Host, attempt: () => Promise<number>): Promise<void> {
  const took = [await attempt()];
  let bound = 1000;
  if (took[0]! >= bound) {
    took.push(await attempt(), await attempt());
    took.sort((a, b) => a - b);
    bound += await allowance(host);
  }
  const median = took[Math.floor(took.length / 2)]!;
  t.ok(median < bound, `took ${took.map(Math.round).join(', ')} ms; ${Math.round(bound)} are allowed`);
}

/** Milliseconds that a guest may be held up: five times what starting a process takes now. */
export async function allowance(host: Host): Promise<number> {
  const starts: number[] = [];
  for (let i = 0; i < 5; i++) {
    const began = performance.now();
    await host.exec(['true']);
    starts.push(performance.now() - began);
  }
  return 5 * starts.sort((a, b) => a - b)[2]!;
}

/**
 * Milliseconds from when `change` shows in what `look` sees until it looks again as before; 0 when it was put right
 * before it could be seen (that there was something is told by the event).
 */
export async function timeRepair(look: () => Promise<string>, change: () => Promise<unknown>): Promise<number> {
  const good = await look();
  const end = performance.now() + 60_000;
  let began: number | undefined;
  let changed = false;
  const changing = change().then(() => {
    changed = true;
  });
  for (;;) {
    const [now, wasChanged] = [performance.now(), changed];
    const is = await look();
    if (is !== good) began ??= now;
    else if (wasChanged) return changing.then(() => (began === undefined ? 0 : now - began));
    if (now > end) throw new Error(`not put right in 60 s: ${is}`);
    await sleep(5);
  }
}

/**
 * What is in an IPVS table (/proc/net/ip_vs) but its counts of connections, sorted: newer kernels list services in the
 * order of hashes whose key is made anew with the table.
 */
export async function rules(pid: number): Promise<string> {
  const text = await readFile(`/proc/${pid}/net/ip_vs`, 'utf8');
  const services = text.replace(/ +\d+ +\d+ *$|\(size=\d+\)/gm, '').split(/\n(?! )/);
  return services
    .map((service) => service.split(/\n/).sort().join('\n'))
    .sort()
    .join('\n');
}

export interface AddressChange {
  /** Milliseconds since the epoch, by the kernel's clock. */
  time: number;
  deleted: boolean;
  dev: string;
  /** With its prefix. */
  address: string;
}

/** Follows a host's addresses with `ip monitor`. */
export async function followAddresses(host: Host): Promise<() => Promise<AddressChange[]>> {
  const monitor = host.spawn('address-monitor', [
    // It says when it read a change: at once, before whoever made it goes on.
    ...['chrt', '--fifo', '1'],
    ...['ip', '-o', '-ts', 'monitor', 'address'],
  ]);
  const read = async () =>
    (await readFile(monitor.log, 'utf8')).split('\n').flatMap((line) => {
      const match = /^\[([^\]]+)\] (Deleted )?\d+: (\S+) +inet6? (\S+)/.exec(line);
      return match
        ? [{ time: Date.parse(`${match[1]}Z`), deleted: match[2] !== undefined, dev: match[3]!, address: match[4]! }]
        : [];
    });
  await waitFor(
    async () => {
      await host.exec(['sh', '-c', 'ip addr add 10.255.255.1/32 dev lo; ip addr del 10.255.255.1/32 dev lo']);
      return (await read()).length > 0;
    },
    { what: 'ip monitor' },
  );
  return read;
}

/** Longest time that an address was away from a card, in milliseconds. Throws when it never was. */
export function longestGap(changes: AddressChange[], dev: string, address: string): number {
  const gaps = changes
    .filter((change) => change.dev === dev && change.address === address)
    .flatMap(({ deleted, time }, i, all) => (deleted ? [(all[i + 1]?.time ?? Number.POSITIVE_INFINITY) - time] : []));
  if (gaps.length === 0) throw new Error(`${address} never left ${dev}`);
  return Math.max(...gaps);
}

/** Sets a sysctl by hand and gives the milliseconds until it is as before. */
export async function timeSysctl(host: Host, key: string, value: string): Promise<number> {
  const path = `/proc/sys/${key.replaceAll('.', '/')}`;
  const script = `read good <${path}; echo ${value} >${path}; read began rest </proc/uptime
for i in $(seq 1000); do read is <${path}; [ "$is" != "$good" ] || break; busybox usleep 10000; done
read now rest </proc/uptime; echo $is $good $began $now`;
  const { stdout } = await host.exec(['sh', '-c', script]);
  const [is, good, began, now] = stdout.trim().split(' ');
  if (is !== good) throw new Error(`${key} stays ${is}`);
  return (Number(now) - Number(began)) * 1000;
}
