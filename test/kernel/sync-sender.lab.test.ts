import t from 'tap';
import type { SyncEntry } from '../../src/core/handoff/sync-message.ts';
import { startSyncDaemon } from '../../src/kernel/sync-daemon.ts';
import { openSyncSender } from '../../src/kernel/sync-sender.ts';
import { lab, sh, until } from './lab.ts';

const vip = '192.0.2.100';
const rs = '192.0.2.11';

const entry = (clientPort: number, more: Partial<SyncEntry> = {}): SyncEntry => ({
  vip,
  port: 80,
  client: '198.51.100.10',
  clientPort,
  destination: rs,
  state: 'established',
  timeout: 0,
  ...more,
});

/** `ipvsadm -Lnc`: state and destination by the client's port. */
const table = (): Record<string, string> =>
  Object.fromEntries(
    [...sh('ipvsadm -Lnc').matchAll(/^TCP +\S+ +(\S+) +\S+:(\d+) +\S+ +(\S+)$/gm)].map(([, state, port, to]) => [
      port,
      `${state} ${to}`,
    ]),
  );

lab(t, 'entries reach the kernel, change in place, and move from one destination to another', async (t) => {
  sh(`ip addr add ${vip}/32 dev lo; ipvsadm -A -t ${vip}:80 -s rr; ipvsadm -a -t ${vip}:80 -r ${vip} -w 1
      ipvsadm -a -t ${vip}:80 -r ${rs} -w 0; ipvsadm -a -t ${vip}:80 -r 192.0.2.12 -w 0`);
  const sender = openSyncSender();
  const shows = async (port: number, want: string) => {
    await until(() => table()[port] === want, 3000);
    t.equal(table()[port], want);
  };
  for (let port = 5000; port < 5100; port++) sender.enter(entry(port));
  await shows(5099, `ESTABLISHED ${rs}:80`);
  t.equal(Object.keys(table()).length, 100, 'a hundred of them in one turn');
  const counted = sh(`ipvsadm -Ln`);
  t.match(counted, new RegExp(`${rs}:80 +Route +0 +100 +0`), 'they count as connections of the destination');
  sender.enter(entry(5000, { destination: '192.0.2.12' }));
  await shows(5000, 'ESTABLISHED 192.0.2.12:80');
  sender.enter(entry(5000, { destination: vip }));
  await shows(5000, `ESTABLISHED ${vip}:80`);
  sender.enter(entry(5001, { state: 'time-wait', timeout: 60 }));
  await shows(5001, `TIME_WAIT ${rs}:80`);
  t.equal(sender.lost(), 0);
  t.match(sh('ipvsadm -L --daemon'), /backup sync daemon \(mcast=dsr-sync, syncid=88/);
  sender.close();
  t.equal(sh('ipvsadm -L --daemon').trim(), '', 'the daemon is gone');
  t.notMatch(sh('ip link'), /dsr-sync/, 'and its interface');
  t.equal(table()[5000], `ESTABLISHED ${vip}:80`, 'the entries stay');
});

lab(t, 'IPv6 entries reach the kernel too', async (t) => {
  const vip6 = '2001:db8::100';
  sh(
    `ip addr add ${vip6}/128 dev lo; ipvsadm -A -t [${vip6}]:80 -s rr; ipvsadm -a -t [${vip6}]:80 -r [2001:db8::11]:80 -g -w 0`,
  );
  const sender = openSyncSender();
  sender.enter(entry(6000, { vip: vip6, client: '2001:db8:51::10', destination: '2001:db8::11' }));
  await until(() => /2001:db8:51::10/.test(sh('ipvsadm -Lnc')), 3000);
  t.match(sh('ipvsadm -Lnc'), /TCP .* ESTABLISHED \[2001:db8:51::10\]:6000 .*\[2001:db8::11\]:80/);
  sender.close();
});

lab(t, 'what an earlier run left is taken over, and another daemon is told of', async (t) => {
  const first = openSyncSender();
  const second = openSyncSender();
  second.close();
  first.close();
  sh('ip link add other0 type dummy; ip link set other0 up; ipvsadm --start-daemon backup --mcast-interface other0');
  t.throws(() => openSyncSender(), { code: 'EBUSY', message: /other0/ });
});

lab(t, 'a daemon that is stopped before it has run is gone without an answer, and that is well', async (t) => {
  for (let i = 0; i < 300; i++) startSyncDaemon().stop();
  t.equal(sh('ipvsadm -L --daemon').trim(), '');
  t.notMatch(sh('ip link'), /dsr-sync/);
});

lab(t, 'that nothing arrives any more is known: the daemon was stopped, its link is down, or gone', async (t) => {
  const spoils = {
    'the daemon was stopped': 'ipvsadm --stop-daemon backup',
    'its link is down': 'ip link set dsr-sync down',
    'its link is gone': 'ip link del dsr-sync',
  };
  for (const [what, spoil] of Object.entries(spoils)) {
    sh(
      `ipvsadm -C; ipvsadm -A -t ${vip}:80 -s rr; ipvsadm -a -t ${vip}:80 -r ${vip} -w 1; ipvsadm -a -t ${vip}:80 -r ${rs} -w 0`,
    );
    const sender = openSyncSender();
    sender.enter(entry(7000));
    await until(() => table()[7000] !== undefined, 3000);
    t.equal(sender.fault(), undefined);
    sh(spoil);
    sender.enter(entry(7001));
    await until(() => sender.fault() !== undefined, 3000);
    t.ok(sender.fault(), what);
    sender.close();
    const next = openSyncSender();
    next.enter(entry(7002));
    await until(() => table()[7002] !== undefined, 3000);
    t.ok(table()[7002], `${what}: the next one works`);
    next.close();
  }
});
