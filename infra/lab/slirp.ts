// Lets 127.0.0.1 of this machine reach ports of a guest, without privilege: slirp4netns is the guest's network card.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { waitFor } from './wait.ts';

export interface Port {
  host: number;
  guest: number;
}

/** Where the guest is on that card. It has no route to anywhere else. */
export const guestAddress = '10.0.2.100';

/** Starts slirp4netns with its sockets in the work folder; it ends with us, or by `stop`. */
export async function startSlirp(work: string): Promise<{ stop: () => Promise<void> }> {
  const log = openSync(join(work, 'slirp.log'), 'a');
  const options = ['--target-type=bess', '--disable-host-loopback', '--disable-dns', '--exit-fd=3'];
  const slirp = spawn('slirp4netns', [...options, `--api-socket=${work}/slirp-api`, `${work}/slirp`], {
    stdio: ['ignore', log, log, 'pipe'],
    detached: true, // it signals its own process group when it ends
  });
  closeSync(log);
  const exited = once(slirp, 'exit');
  await waitFor(() => existsSync(join(work, 'slirp')) || slirp.exitCode !== null, { what: 'slirp4netns to start' });
  if (slirp.exitCode !== null) throw new Error(`slirp4netns ended: ${readFileSync(join(work, 'slirp.log'), 'utf8')}`);
  return {
    stop: async () => {
      slirp.stdio[3]?.destroy();
      await exited;
    },
  };
}

/** Opens the ports; waits for the guest's kernel to take up its card, which is when slirp4netns starts to answer. */
export async function forwardPorts(work: string, ports: Port[]): Promise<void> {
  for (const port of ports) {
    const argument = { proto: 'tcp', host_addr: '127.0.0.1', host_port: port.host };
    const request = {
      execute: 'add_hostfwd',
      arguments: { ...argument, guest_addr: guestAddress, guest_port: port.guest },
    };
    let reply = await ask(work, request);
    for (; reply === undefined; reply = await ask(work, request)) await sleep(100);
    if (reply.error) throw new Error(`127.0.0.1:${port.host} cannot be used: ${reply.error.desc}`);
  }
}

/** undefined: nobody answers yet. */
function ask(work: string, request: unknown): Promise<{ error?: { desc: string } } | undefined> {
  return new Promise((resolve) => {
    let reply = '';
    const socket = connect(join(work, 'slirp-api'));
    socket.on('connect', () => socket.end(JSON.stringify(request)));
    socket.on('data', (chunk) => {
      reply += chunk;
    });
    socket.on('error', () => resolve(undefined));
    socket.on('close', () => resolve(reply === '' ? undefined : JSON.parse(reply)));
  });
}
