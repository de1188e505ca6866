import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { openMemory } from '../../agents/memory.ts';
import { folder } from '../api/site.ts';

t.test('the agent remembers over restarts what it was told and what the host had', async (t) => {
  const dir = folder(t);
  const fresh = openMemory(dir);
  t.strictSame(fresh.get().desired, { revision: 0, vips: [], probers: [] });
  const desired = {
    revision: 7,
    vips: [{ vip: '192.0.2.100', address: '192.0.2.11', ports: ['80/tcp'] }],
    probers: ['169.254.1.1'],
  };
  const ledger = {
    boot: 'b',
    services: {},
    addresses: {},
    sysctls: { 'net.ipv4.conf.all.arp_ignore': '0' },
    routes: {},
  };
  await fresh.change(() => ({ desired, ledger }));
  t.strictSame(openMemory(dir).get(), { desired, ledger });
  t.match(JSON.parse(readFileSync(join(dir, 'agent.json'), 'utf8')), { version: 1 });
});

t.test('a memory of another shape or of a newer version is refused and left as it is', async (t) => {
  const dir = folder(t);
  const path = join(dir, 'agent.json');
  for (const [content, code] of [
    ['{"version":1,"desired":{"revision":1}}', 'STATE_CORRUPT'],
    ['{"version":2}', 'STATE_NEWER'],
    ['', 'STATE_CORRUPT'],
  ] as const) {
    writeFileSync(path, content);
    t.throws(() => openMemory(dir), { code, exitCode: 1, message: new RegExp(path) });
    t.equal(readFileSync(path, 'utf8'), content);
  }
});
