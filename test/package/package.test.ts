import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { arch } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import t from 'tap';
import { buildDeb } from '../../infra/package/deb.ts';
import { type Architecture, architectures } from '../../infra/package/program.ts';
import { buildTarball } from '../../infra/package/tarball.ts';
import { root } from '../api/run.ts';
import { folder } from '../api/site.ts';
import { bootMachine, noMachine } from './machine.ts';

const architecture = (Object.keys(architectures) as Architecture[]).find((one) => architectures[one] === arch());
const skip =
  architecture === undefined ? 'no package for this architecture' : !existsSync('/usr/bin/dpkg-deb') && 'no dpkg';
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
const time = 1_790_000_000;
const programs = ['dsr-controller', 'dsr-agent', 'dsr-front', 'dsrctl'] as const;

// Builds up to twice, and boots twice.
t.setTimeout(1_200_000);
const into = folder(t);
const build = (where: string) => buildDeb({ root, into: where, architecture: architecture ?? 'amd64', version, time });
const deb = skip ? '' : await build(into);
const dpkg = async (...args: string[]) => (await execa('dpkg-deb', args)).stdout;

const notLong = process.env.LONG ? false : 'npm run test:long';
t.test('the same commit gives the same bytes, whatever the umask', { skip: skip || notLong }, async (t) => {
  const before = process.umask(0o077);
  t.teardown(() => process.umask(before));
  const again = await build(folder(t));
  process.umask(before);
  t.ok(readFileSync(again).equals(readFileSync(deb)), `${statSync(deb).size} bytes`);
});

t.test('it says what it needs, and belongs to root', { skip }, async (t) => {
  const [depends = '', size] = (await dpkg('--field', deb, 'Depends', 'Installed-Size')).split('\n');
  const kilobytes = Number(size?.replace(/\D/g, ''));
  t.match(depends, / nodejs \(>= 20\.19\)/);
  t.comment(`${(statSync(deb).size / 1e6).toFixed(1)} MB, installed ${(kilobytes / 1000).toFixed(1)} MB`);
  t.ok(kilobytes < 20_000);
  for (const line of (await dpkg('--contents', deb)).split('\n')) {
    const [mode = '', owner, , , , path = ''] = line.split(/\s+/);
    t.ok(
      owner === 'root/root' && (/^(drwxr-xr-x|-rw-r--r--|-rwxr-xr-x|lrwx)/.test(mode) || path === './etc/dsr/'),
      line,
    );
  }
});

t.test('nothing is in it that is never run, and all that is imported is', { skip }, async (t) => {
  const dir = folder(t);
  await dpkg('--extract', deb, dir);
  const home = join(dir, 'usr/lib/dsr-controller');
  const files = readdirSync(home, { recursive: true, encoding: 'utf8' }).filter((file) =>
    statSync(join(home, file)).isFile(),
  );
  t.strictSame(
    files.filter((file) =>
      /\.(map|ts|tsx|cc|hh|gyp)$|(^|\/)\.[^/]*$|node_modules\/(typescript|fast-check|tap)\//.test(file),
    ),
    [],
  );
  const native = files.filter((file) => file.endsWith('.node'));
  t.strictSame(native.length, 1, String(native));
  // What does not resolve here, but does where nothing was taken out.
  const missing = new Set<string>();
  const imports = /(?:require(?:\.resolve)?\(\s*|from\s*|import\(\s*|import\s+)['"]([^'"\n]+)['"]/g;
  for (const file of files.filter((one) => /^node_modules\/.*\.[cm]?js$/.test(one)))
    for (const [, name = ''] of readFileSync(join(home, file), 'utf8').matchAll(imports))
      if (!name.endsWith('.d.ts') && resolves(join(root, file), name) && !resolves(join(home, file), name))
        missing.add(`${file}: ${name}`);
  t.strictSame([...missing].sort(), [
    // Of debug, which asks whether it is there; and of netlink's sockets, which nothing opens.
    'node_modules/debug/src/node.js: supports-color',
    'node_modules/netlink/dist/raw.js: node-gyp-build',
  ]);
});

function resolves(from: string, name: string): boolean {
  try {
    return createRequire(from).resolve(name).startsWith('/');
  } catch {
    return false;
  }
}

t.test('licences and the bill of materials name all that is in it', { skip }, async (t) => {
  const dir = folder(t);
  await dpkg('--extract', deb, dir);
  const docs = join(dir, 'usr/share/doc/dsr-controller');
  const copyright = readFileSync(join(docs, 'copyright'), 'utf8');
  const bom = JSON.parse(readFileSync(join(docs, 'sbom.cdx.json'), 'utf8')) as {
    components: { name: string; version: string }[];
  };
  const known = new Set(bom.components.map((one) => `${one.name}@${one.version}`));
  const found = readdirSync(join(dir, 'usr/lib/dsr-controller'), { recursive: true, encoding: 'utf8' }).filter((path) =>
    /node_modules\/(@[^/]+\/)?[^/]+\/package\.json$/.test(path),
  );
  t.ok(found.length > 50);
  for (const path of found) {
    const { name, version } = JSON.parse(readFileSync(join(dir, 'usr/lib/dsr-controller', path), 'utf8')) as {
      name: string;
      version: string;
    };
    t.ok(known.has(`${name}@${version}`), `${name} is in the bill`);
    t.ok(
      copyright.includes(` usr/lib/dsr-controller/${path.replace(/package\.json$/, '*')}\n`),
      `${name} has a licence`,
    );
  }
  t.notMatch(copyright, /License: (unknown|undefined)/);
});

const noLintian = skip || (spawnSync('lintian', ['--version']).error ? 'lintian is not installed' : false);
t.test('lintian has nothing to say but what is overridden with its reason', { skip: noLintian }, async (t) => {
  const { stdout } = await execa('lintian', ['--allow-root', '--tag-display-limit=0', deb], { reject: false });
  t.equal(stdout, '');
});

t.test('the npm tarball installs, and runs with the versions that were tested', async (t) => {
  const dir = folder(t);
  const [one, other] = [await buildTarball(root, dir, time), await buildTarball(root, folder(t), time)];
  t.ok(readFileSync(one).equals(readFileSync(other)), 'the same bytes again');
  const prefix = join(dir, 'prefix');
  await execa('npm', ['install', '--global', '--prefix', prefix, '--prefer-offline', one], { cwd: dir });
  for (const program of programs) t.equal((await execa(join(prefix, 'bin', program), ['--version'])).stdout, version);
  const installed = join(prefix, 'lib/node_modules/dsr-controller/node_modules');
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { version: string }>;
  };
  const tested = new Set(
    Object.entries(lock.packages).map(([path, { version }]) => `${path.replace(/^.*node_modules\//, '')}@${version}`),
  );
  for (const name of readdirSync(installed).filter((entry) => !/^[.@]/.test(entry))) {
    const { version } = JSON.parse(readFileSync(join(installed, name, 'package.json'), 'utf8')) as { version: string };
    t.ok(tested.has(`${name}@${version}`), `${name} ${version}`);
  }
});

const vip = '198.51.100.1';
/** A real server with its director beside it, and the package of this version and the next. */
const site = `
  dpkg --force-depends -i /share/this.deb >/dev/null 2>&1
  ip netns add director
  ip link add eth0 type veth peer name eth0 netns director
  ip addr add 192.0.2.11/24 dev eth0; ip link set eth0 up
  ip -n director addr add 192.0.2.10/24 dev eth0; ip -n director link set eth0 up
  hostname rs1
  printf '[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=ip netns exec director node /share/director.mjs 192.0.2.10 rs1 /share/log ${vip}\n' >/run/systemd/system/director.service
  systemctl daemon-reload; systemctl start director
  echo '{"controller":"http://192.0.2.10:7100","insecure":true}' >/etc/dsr/agent.json`;
const waitFor = (condition: string) =>
  `for i in $(seq 900); do ${condition} && break; sleep 0.1; done; ${condition} || { echo '${condition.replaceAll("'", '')}'; journalctl -u dsr-agent | tail -20; exit 1; }`;
// No pipe: grep may end before ip has written, and pipefail takes that for a failure.
const hasVip = `[[ $(ip -o addr show dev lo) == *${vip}* ]]`;

async function boot(t: Parameters<typeof bootMachine>[0]) {
  const machine = await bootMachine(t);
  await cp(deb, join(machine.share, 'this.deb'));
  await cp(join(import.meta.dirname, 'director.mjs'), join(machine.share, 'director.mjs'));
  return machine;
}

const noBoot = skip || noMachine;

t.test('installed, run, upgraded, removed and purged on a machine', { skip: noBoot }, async (t) => {
  const { run } = await boot(t);
  // The package manager's own records, caches and logs.
  const list = `find /etc /usr /var /opt /srv -xdev \\( -path /var/log -o -path /var/cache -o -path /var/lib/dpkg -o -path /var/lib/systemd \\) -prune -o -print`;
  const before = await run(list);

  await run('dpkg --force-depends -i /share/this.deb');
  for (const program of programs) {
    t.equal((await run(`${program} --version`)).trim(), version);
    t.match(await run(`${program} --help`), `Usage: ${program}`);
    t.match(await run(`man --pager=cat ${program}`), /EXIT STATUS/);
  }
  t.match(await run('bash -c "source /usr/share/bash-completion/completions/dsrctl; complete -p dsrctl"'), 'dsrctl');
  const states = 'systemctl is-enabled dsr-controller dsr-agent || true; systemctl is-active dsr-agent || true';
  t.strictSame(
    (await run(states)).trim().split('\n'),
    ['disabled', 'disabled', 'inactive'],
    'nothing runs until it is configured',
  );
  await run('systemctl start dsr-agent dsr-controller');
  t.strictSame((await run(states)).trim().split('\n'), ['disabled', 'disabled', 'inactive']);

  await run(site);
  await run(`systemctl enable --quiet --now dsr-agent; ${waitFor(hasVip)}`);
  t.match(await run('systemctl status dsr-agent'), /Status: "(0 VIPs|1 VIP)/);
  t.equal((await run('cat /proc/sys/net/ipv4/conf/eth0/arp_ignore')).trim(), '1', 'sysctls below net can be written');
  t.equal((await run('stat -c %a /var/lib/dsr /var/lib/dsr/agent.json')).trim(), '700\n600');

  const pid = 'systemctl show -p MainPID --value dsr-agent';
  const sandbox = await run(`nsenter -m -t $(${pid}) bash -c '
    for path in /etc/x /usr/x /proc/sys/kernel/domainname /proc/sys/vm/swappiness; do test -w $path && echo "$path can be written"; done
    ls -A /home/ /root/ | grep -v : || true'`);
  t.equal(sandbox.trim(), '');
  t.match(
    await run(`grep -h CapEff /proc/$(${pid})/status`),
    /0{12}3400$/m,
    'CAP_NET_BIND_SERVICE, CAP_NET_ADMIN and CAP_NET_RAW',
  );

  const told = 'the controller is not followed; this host stays as it is {';
  await run(`systemctl stop director; ${waitFor(`grep -q "^${told}" < <(journalctl -u dsr-agent -p warning -o cat)`)}`);

  // From here on the VIP must stay, whatever becomes of the program.
  await run('systemd-run --quiet --unit=watch bash -c "exec ip monitor address >/share/addresses"; sleep 0.5');
  await run(
    'mkdir -p /run/systemd/system/dsr-agent.service.d; printf "[Service]\\nWatchdogSec=3\\n" >/run/systemd/system/dsr-agent.service.d/fast.conf; systemctl daemon-reload; systemctl restart dsr-agent',
  );
  await run(
    `kill -STOP $(${pid}); ${waitFor('[ $(systemctl show -p NRestarts --value dsr-agent) -ge 1 ]')}; ${waitFor('systemctl is-active --quiet dsr-agent')}`,
  );
  t.pass('a hang is ended by the watchdog');
  await run(
    `cp /etc/dsr/agent.json /root/; echo '{"controller":"http://192.0.2.10:7100"}' >/etc/dsr/agent.json; systemctl restart dsr-agent || true; ${waitFor('systemctl is-failed --quiet dsr-agent')}`,
  );
  t.match(
    await run('systemctl show -p ExecMainStatus,NRestarts,ActiveState dsr-agent'),
    /NRestarts=0\nExecMainStatus=2\nActiveState=failed/,
  );
  t.match(
    await run('journalctl -u dsr-agent -p err -o cat'),
    /^dsr-agent: .*insecure/m,
    'a wrong setting is told, and not tried again',
  );
  await run('mv /root/agent.json /etc/dsr/; systemctl reset-failed dsr-agent; systemctl start dsr-agent director');

  const old = (await run(pid)).trim();
  await run(`
    dpkg-deb -R /share/this.deb /root/next; sed -i 's/^Version: .*/&+next/' /root/next/DEBIAN/control
    dpkg-deb -Znone -b /root/next /share/next.deb; rm -r /root/next; dpkg --force-depends -i /share/next.deb`);
  t.not((await run(pid)).trim(), old, 'an upgrade restarts what runs');
  await run(`${hasVip}; systemctl is-active dsr-agent`);
  t.equal(await run('cat /share/addresses'), '', 'and no address ever went');

  await run(`sleep 1; systemctl stop watch; dpkg -r dsr-controller; ! ${hasVip}`);
  t.match(await run('cat /share/log'), /torn down$/, 'the director was told');
  t.equal((await run('cat /proc/sys/net/ipv4/conf/eth0/arp_ignore')).trim(), '0');
  await run('test -e /var/lib/dsr/agent.json; test -e /etc/dsr/agent.json; ! test -e /usr/lib/dsr-controller');
  await run(
    'systemctl stop director; rm /run/systemd/system/director.service; rm -r /run/systemd/system/dsr-agent.service.d; rmdir /run/netns 2>/dev/null || true; dpkg -P dsr-controller',
  );
  const after = await run(list);
  const [was, is] = [new Set(before.split('\n')), new Set(after.split('\n'))];
  t.strictSame(
    [...is].filter((path) => !was.has(path)),
    [],
    'nothing is left',
  );
  t.strictSame(
    [...was].filter((path) => !is.has(path)),
    [],
    'and nothing is missing',
  );
});

t.test('a host that shuts down is drained while its web server still runs', { skip: noBoot }, async (t) => {
  const { run, ended, share } = await boot(t);
  await run(site);
  await run(`
    printf '[Unit]\\nAfter=network.target\\n[Service]\\nExecStart=sleep infinity\\nExecStop=sh -c "echo nginx stops >>/share/log"\\n' >/etc/systemd/system/nginx.service
    printf '[Unit]\\nBefore=network.target\\nWants=network.target\\n[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nExecStart=true\\nExecStop=sh -c "echo network stops >>/share/log"\\n[Install]\\nWantedBy=multi-user.target\\n' >/etc/systemd/system/cards.service
    systemctl daemon-reload
    systemctl start nginx; systemctl enable --quiet --now cards; systemctl enable --quiet --now dsr-agent
    ${waitFor(hasVip)}; ${waitFor('grep -q serves /share/log')}`);
  // The director is another host: it does not stop with this one.
  await run('systemctl poweroff --no-block');
  await ended;
  t.strictSame(readFileSync(join(share, 'log'), 'utf8').trim().split('\n'), [
    'serves',
    'leaves',
    'has left',
    'nginx stops',
    'network stops',
  ]);
});
