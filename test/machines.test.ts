import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import t from 'tap';
import { addressesOf, vip } from '../infra/lab/hosts.ts';
import { ports } from '../infra/lab/parts.ts';
import { withWeight } from '../infra/lab/pool.ts';

const root = join(import.meta.dirname, '..');
const folder = join(root, 'infra/vagrant');
const vagrantfile = readFileSync(join(root, 'Vagrantfile'), 'utf8');
const script = (name: string): string => readFileSync(join(folder, `${name}.sh`), 'utf8');
const scripts = readdirSync(folder).filter((file) => file.endsWith('.sh'));

t.test('the scripts of the machines are sound shell', async (t) => {
  const hasShellcheck = await execa('shellcheck', ['--version'], { reject: false }).then(({ failed }) => !failed);
  for (const file of scripts) {
    const whole = file === 'common.sh' ? script('common') : `${script('common')}\n${script(file.replace('.sh', ''))}`;
    await t.resolves(execa('bash', ['-n'], { input: whole }), file);
    if (hasShellcheck) await t.resolves(execa('shellcheck', ['--shell=bash', '-'], { input: whole }), file);
  }
});

t.test('every machine has a script for its role', async (t) => {
  const roles = [...vagrantfile.matchAll(/role: '([\w-]+)'/g)].map(([, role]) => `${role}.sh`);
  t.strictSame([...new Set([...roles, 'common.sh'])].sort(), scripts.sort());
});

t.test("the machines have the lab's names and addresses", async (t) => {
  const [, table = ''] = /^HOSTS = \{$(.*?)^\}\.freeze$/ms.exec(vagrantfile) ?? [];
  const cards = table.split(/^ {2}(?=')/m).flatMap((host) => {
    const [, name, ip, mac] = /^'(\w+)' => .*?ip: '([^']+)', mac: '([^']+)'/s.exec(host) ?? [];
    return name ? [{ name, ip, mac }] : [];
  });
  const byName = (a: { name?: string | undefined }, b: { name?: string | undefined }) =>
    `${a.name}`.localeCompare(`${b.name}`);
  t.strictSame(cards.sort(byName), addressesOf().sort(byName));
  const lab = readFileSync(join(root, 'infra/lab/hosts.ts'), 'utf8');
  const [, gateway = 'none'] = /gateway: \{ ip: '(198[^']+)'/.exec(lab) ?? [];
  t.match(vagrantfile, `net: 'dsr-clients', ip: '${gateway}'`);
  t.match(script('common'), `Destination=192.0.2.0/24\\nGateway=${gateway}`);
});

t.test("the director's servers are at the lab's ports", async (t) => {
  const text = script('director');
  t.match(text, `lighttpd_on ${ports.php} `);
  t.match(text, `bind $IP:${ports.haproxy}\n`);
  t.match(text, `"$IP:${ports.controller}"`);
  t.match(script('real-server'), `lighttpd_on ${ports.images} `);
});

t.test('real servers with a weight are read from what ipvsadm prints', async (t) => {
  const table = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  ${vip}:80 wlc
  -> 192.0.2.11:80                Route   100    0          0
  -> 192.0.2.12:80                Route   0      0          0         `;
  t.strictSame(withWeight(table), ['192.0.2.11']);
});
