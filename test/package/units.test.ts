import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { root } from '../api/run.ts';
import { folder } from '../api/site.ts';

const units = ['dsr-controller.service', 'dsr-agent.service', 'dsr-front.service'] as const;
const at = (unit: string) => join(root, 'infra/systemd', unit);
const skip = spawnSync('systemd-analyze', ['--version']).error ? 'systemd-analyze is not installed' : false;

t.test('systemd finds no fault in the units', { skip }, async (t) => {
  // With the programs that they name.
  const dir = folder(t);
  for (const path of ['usr/bin', 'usr/lib/systemd/system', 'usr/lib/dsr-controller'])
    mkdirSync(join(dir, path), { recursive: true });
  writeFileSync(join(dir, 'usr/bin/node'), '#!/bin/sh\n', { mode: 0o755 });
  for (const unit of units) {
    const text = readFileSync(at(unit), 'utf8').replaceAll('/usr/bin/node', join(dir, 'usr/bin/node'));
    writeFileSync(join(dir, unit), text.replace(/^Documentation=.*$/m, ''));
  }
  const { stdout, stderr, status } = spawnSync(
    'systemd-analyze',
    ['verify', '--man=no', ...units.map((unit) => join(dir, unit))],
    { encoding: 'utf8' },
  );
  const own = `${stdout}${stderr}`
    .split('\n')
    .filter((line) => line.includes(dir) || units.some((unit) => line.startsWith(unit)));
  t.strictSame(own, [], stderr);
  t.equal(status, 0, stderr);
});

// 10 is a service with all of root's power; what these have left is named in the units.
for (const [unit, most] of [
  ['dsr-controller.service', 3.3],
  ['dsr-agent.service', 2.3],
  ['dsr-front.service', 2.3],
] as const)
  t.test(`${unit} is exposed no more than ${most} of 10`, { skip }, async (t) => {
    const { stdout, status } = spawnSync(
      'systemd-analyze',
      ['security', '--offline=true', '--no-pager', `--threshold=${most * 10}`, at(unit)],
      { encoding: 'utf8' },
    );
    t.comment(/Overall exposure level.*/.exec(stdout)?.[0] ?? stdout);
    t.equal(status, 0, stdout);
  });
