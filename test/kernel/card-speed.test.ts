import { mkdirSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { readCardSpeed } from '../../src/kernel/card-speed.ts';

t.test('a speed is what the driver says, and nothing where it says none', async (t) => {
  const root = `${t.testdir()}/`;
  for (const [name, text] of Object.entries({ eth0: '100\n', eth1: '-1\n', eth2: '', eth3: '0\n', eth4: 'fast\n' })) {
    mkdirSync(root + name);
    writeFileSync(`${root}${name}/speed`, text);
  }
  t.equal(readCardSpeed('eth0', root), 100);
  for (const name of ['eth1', 'eth2', 'eth3', 'eth4', 'eth9']) t.equal(readCardSpeed(name, root), undefined, name);
});
