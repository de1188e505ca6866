import { chmodSync, readFileSync } from 'node:fs';
import { join, normalize } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { KernelError } from '../../src/kernel/errors.ts';
import { pathOf, readSysctl, writeSysctl } from '../../src/kernel/sysctl.ts';
import { holds } from '../property.ts';

t.test('dots part the names, and a slash stands for the dot of an interface', async (t) => {
  t.equal(pathOf('net.ipv4.conf.all.arp_ignore'), '/proc/sys/net/ipv4/conf/all/arp_ignore');
  t.equal(pathOf('net.ipv4.conf.eth0/100.arp_ignore'), '/proc/sys/net/ipv4/conf/eth0.100/arp_ignore');
  t.equal(pathOf('net/ipv4/conf/eth0.100/arp_ignore'), '/proc/sys/net/ipv4/conf/eth0.100/arp_ignore');
});

holds(
  t,
  'a key is a path below /proc/sys or it is refused',
  fc.property(fc.string({ unit: fc.constantFrom('.', '/', 'a', 'net', '..', ' ', '\0') }), (key) => {
    try {
      const path = pathOf(key);
      return path.startsWith('/proc/sys/') && normalize(path) === path && !/[\s\0]/.test(path);
    } catch (error) {
      return error instanceof KernelError && error.code === 'EINVAL';
    }
  }),
  2000,
);

t.test(
  'a value is read trimmed and written as it is; what is missing is undefined to read and an error to set',
  async (t) => {
    const root = `${t.testdir({ net: { ipv4: { rmem: '4096\t131072\t6291456\n' } } })}/`;
    t.equal(readSysctl('net.ipv4.rmem', root), '4096\t131072\t6291456');
    t.equal(readSysctl('net.ipv4.none', root), undefined);
    t.equal(readSysctl('net.ipv4', root), undefined);
    t.equal(readSysctl('net.ipv4.rmem.more', root), undefined);
    writeSysctl('net.ipv4.rmem', '2222\t222222\t2222222', root);
    t.equal(readFileSync(join(root, 'net/ipv4/rmem'), 'utf8').slice(0, 19), '2222\t222222\t2222222');
    t.throws(() => writeSysctl('net.ipv4.none', '1', root), { code: 'ENOENT', message: /no such sysctl/ });
    t.throws(() => writeSysctl('../x', '1', root), { code: 'EINVAL' });
  },
);

t.test(
  'a sysctl that may not be written says what to do',
  { skip: process.getuid?.() === 0 && 'root may' },
  async (t) => {
    const root = `${t.testdir({ net: { x: '1' } })}/`;
    chmodSync(join(root, 'net/x'), 0o400);
    t.throws(() => writeSysctl('net.x', '2', root), { code: 'EACCES', exitCode: 3, message: /container/ });
  },
);
