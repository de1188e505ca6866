import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { Test } from 'tap';
import type { z } from 'zod';
import { probeOnce } from '../../../src/check/kinds/index.ts';
import type { Probe } from '../../../src/check/open.ts';
import { checkSchema } from '../../../src/check-schema.ts';
import type { Outcome } from '../../../src/core/health.ts';
import { openLoopback } from '../open.ts';

export type CheckInput = z.input<typeof checkSchema>;

/** One probe of 127.0.0.1 as 192.0.2.100; also looks that nothing stays open and that the words are fit to be shown. */
export async function probe(
  t: Test,
  port: number,
  input: CheckInput,
  more: Partial<Pick<Probe, 'vip' | 'protocol' | 'programs' | 'open' | 'signal'>> = {},
): Promise<Outcome> {
  const check = checkSchema.parse({ timeoutMs: 5000, ...input });
  const open = openLoopback();
  const about = { vip: '192.0.2.100', port, protocol: 'tcp' as const, check, open, programs: {} };
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(), check.timeoutMs);
  const outcome = await probeOnce({ ...about, signal: over.signal, ...more });
  clearTimeout(timer);
  if (open.left() > 0) t.fail('sockets are left open');
  if (outcome.words.length > 200 || /\p{C}/u.test(outcome.words)) t.fail('words that cannot be shown', outcome);
  return outcome;
}

/** A TCP server on loopback for one test; `accepted` also has to do with what comes. */
export async function serve(t: Test, accepted: (socket: Socket) => void): Promise<number> {
  return listen(
    t,
    createServer((socket) => {
      socket.on('error', () => {});
      accepted(socket);
    }),
  );
}

export async function listen(t: Test, server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}
