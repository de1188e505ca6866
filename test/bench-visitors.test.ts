import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { execa } from 'execa';
import t from 'tap';
import type { PhaseTally, Visits } from '../infra/bench/visitors.ts';

const workload: Visits['workload'] = {
  objects: { count: 10, medianBytes: 1000, sigma: 0, zipf: 0.9 },
  requestsPerSession: 1,
  gapSeconds: 0.1,
  lingerSeconds: 0.1,
  clients: [{ mbit: 10, share: 1 }],
};

/** What visitors say of phases of 0.6 s each. */
async function visit(port: number, mbit: readonly number[]): Promise<PhaseTally[]> {
  const visits: Visits = {
    host: '127.0.0.1',
    port,
    workload,
    seed: 1,
    phases: mbit.map((of) => ({ mbit: of, seconds: 0.6 })),
  };
  const program = join(import.meta.dirname, '../infra/bench/visitors.ts');
  const child = execa(process.execPath, ['--import', 'tsx', program], { input: `${JSON.stringify(visits)}\n` });
  const said: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) said.push(line);
  await child;
  return said.slice(1).map((line) => JSON.parse(line));
}

t.test('requests that nobody answers count with their age, in every phase until they end', async (t) => {
  const server = createServer(() => {}).listen(0, '127.0.0.1');
  t.teardown(() => server.closeAllConnections());
  t.teardown(() => server.close());
  await once(server, 'listening');
  const [first, second] = await visit((server.address() as AddressInfo).port, [0.8, 0.0001]);
  t.match(first, { replies: 0, bytes: 0, failed: 0 });
  t.ok(first && first.p99Ms > 400 && first.p99Ms < 700, `${first?.p99Ms}`);
  t.ok(second && second.p99Ms > 1000 && second.p99Ms < 1300, `${second?.p99Ms}`);
});

t.test('requests that are answered count once, and what is not wanted yet does not count', async (t) => {
  const server = createServer((_, response) => response.end('x'.repeat(1000))).listen(0, '127.0.0.1');
  t.teardown(() => server.closeAllConnections());
  t.teardown(() => server.close());
  await once(server, 'listening');
  const [first, second] = await visit((server.address() as AddressInfo).port, [0.8, 0.0001]);
  t.ok(first && first.replies > 20 && first.failed === 0 && first.p99Ms < 400, JSON.stringify(first));
  t.ok(second && second.replies <= 2 && second.failed === 0, JSON.stringify(second));
});
