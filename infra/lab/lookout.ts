import { readlink, stat } from 'node:fs/promises';
import type { Host } from './host.ts';
import { waitFor } from './wait.ts';

/** A process that does nothing but show its host's network in /proc/PID/net; its pid. */
export async function lookout(host: Host): Promise<number> {
  const { pid } = host.spawn('lookout', ['sleep', 'infinity']);
  const network = `net:[${(await stat(host.netnsPath)).ino}]`;
  const there = async () => (await readlink(`/proc/${pid}/ns/net`)) === network;
  await waitFor(there, { what: 'the lookout to be in its place' });
  return pid;
}
