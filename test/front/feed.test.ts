import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { startFeed } from '../../src/front/feed.ts';
import type { FrontDesired } from '../../src/handoff-schema.ts';
import { folder } from '../api/site.ts';

t.test('what cannot be written holds all the same, is told once, and is written when it can be', async (t) => {
  const asked: (string | null)[] = [];
  const server = createServer(async (request, response) => {
    const version = new URL(request.url ?? '', 'http://h').searchParams.get('version');
    asked.push(version);
    if (asked.length === 1) return void response.writeHead(503).end('not yet');
    if (version === 'v1') await sleep(50);
    response.end(JSON.stringify({ version: 'v1', ports: [], keys: {} }));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  // A file is where the folder should be.
  const stateDir = join(folder(t), 'state');
  writeFileSync(stateDir, '');
  const told: FrontDesired[] = [];
  const warnings: unknown[] = [];
  const feed = startFeed({
    controller: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stateDir,
    changed: (desired) => told.push(desired),
    log: { info: () => {}, warn: (keys) => warnings.push(keys) },
  });
  while (asked.length < 4) await sleep(10);
  t.equal(told.length, 1, 'and what is not ready yet is no change');
  t.match(warnings.at(-1), { reason: /ENOTDIR/ });
  rmSync(stateDir);
  mkdirSync(stateDir);
  const written = () => {
    try {
      return JSON.parse(readFileSync(join(stateDir, 'front.json'), 'utf8')) as unknown;
    } catch {
      return undefined;
    }
  };
  while (!written()) await sleep(10);
  t.match(written(), { version: 'v1' });
  t.equal(told.length, 1);
  await feed.stop();
});
