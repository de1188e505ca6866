import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { hostIsStopping } from '../../agents/shutdown.ts';
import { folder } from '../api/site.ts';

/** Whether the host is stopping, where `systemctl` is this script; without one there is none. */
async function withSystemctl(t: Test, script?: string, patienceMs?: number): Promise<boolean> {
  const dir = folder(t);
  if (script !== undefined) {
    writeFileSync(join(dir, 'systemctl'), `#!/bin/sh\n${script}\n`);
    chmodSync(join(dir, 'systemctl'), 0o755);
  }
  const { PATH } = process.env;
  process.env.PATH = dir;
  try {
    return await hostIsStopping(patienceMs);
  } finally {
    process.env.PATH = PATH;
  }
}

t.test('a host that systemd says is stopping is stopping, though systemctl ends with a failure', async (t) => {
  t.equal(await withSystemctl(t, '[ "$*" = is-system-running ] && echo stopping; exit 1'), true);
});

t.test('a host in any other state is not stopping', async (t) => {
  for (const state of ['running', 'degraded', 'maintenance', 'offline', 'not stopping', ''])
    t.equal(await withSystemctl(t, `echo '${state}'`), false, state);
});

t.test('a host without systemd is not stopping', async (t) => {
  t.equal(await withSystemctl(t), false);
});

t.test('a systemctl that does not answer is not waited for, even when it will not end', async (t) => {
  const began = performance.now();
  t.equal(await withSystemctl(t, "trap '' TERM\nwhile :; do :; done", 500), false);
  t.ok(performance.now() - began < 60_000);
});

t.test('a systemctl that takes three seconds, on a host where everything stops at once, is waited for', async (t) => {
  t.equal(await withSystemctl(t, '/bin/sleep 3; echo stopping'), true);
});
