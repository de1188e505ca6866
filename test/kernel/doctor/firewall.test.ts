import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { mtuFinding } from '../../../src/core/doctor/across.ts';
import { openPortsFinding } from '../../../src/core/doctor/director.ts';
import { firewallFinding } from '../../../src/core/doctor/firewall.ts';
import { readFirewall } from '../../../src/kernel/doctor/firewall.ts';
import { folder } from '../../api/site.ts';
import { typescript } from '../../typescript.ts';

// What the firewall's own programs print and take, in a network namespace that this file makes for itself: nothing
// outside is touched.
const inside = process.env.TEST_FIREWALL_INSIDE === '1';
const works = (command: string) => spawnSync('unshare', ['--net', 'sh', '-ec', command]).status === 0;
const hasNft = inside || works('nft add table inet x');
const hasIptables = works('iptables-nft -A INPUT -m conntrack --ctstate INVALID -j DROP');
const hasLegacy = works('iptables-legacy -A INPUT -m conntrack --ctstate INVALID -j DROP');

const vips = ['192.0.2.100', '2001:db8::100'];
const sh = (script: string) => execFileSync('sh', ['-ec', script], { encoding: 'utf8', stdio: 'pipe' });
const look = async () => firewallFinding(await readFirewall(), vips);
const flush = 'nft flush ruleset';

/** A folder with these programs alone, which is where programs are looked for from now on. */
function onlyPrograms(t: Test, scripts: Record<string, string>): void {
  const bin = join(folder(t), 'bin');
  mkdirSync(bin);
  for (const [name, script] of Object.entries(scripts)) {
    writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(bin, name), 0o755);
  }
  const { PATH } = process.env;
  process.env.PATH = bin;
  t.teardown(() => {
    process.env.PATH = PATH;
  });
}

const chain = `nft add table inet f; nft 'add chain inet f in { type filter hook input priority filter; }'; nft 'add chain inet f bad'; nft add rule inet f bad drop`;
const rules = [
  'ct state invalid drop',
  'ct state { new, invalid } counter reject',
  'ct state != { established, related, new } drop',
  'ct state vmap { established : accept, invalid : drop }',
  'ct state vmap { established : accept, invalid : jump bad }',
  'ct state invalid goto bad',
  'ct state & invalid == invalid drop',
];

async function insideTests(): Promise<void> {
  await t.test('without a rule, and with harmless ones, all is well', async (t) => {
    t.match(await look(), { level: 'ok' });
    sh(
      `${chain}; nft add rule inet f in ct state established,related accept; nft add rule inet f in tcp dport 81 drop`,
    );
    t.match(await look(), { level: 'ok' });
  });
  for (const rule of rules)
    await t.test(`nft: ${rule}: found, and mended by the lines as they are printed`, async (t) => {
      sh(`${flush}; ${chain}; nft 'add rule inet f in ${rule}'`);
      const finding = await look();
      t.match(finding, { level: 'problem', what: /inet table f, chain in, handle \d+$/ });
      sh(finding.fix.join('\n'));
      t.match(await look(), { level: 'ok', what: /the VIPs are not tracked/ });
    });
  await t.test('iptables-nft, whose matches nft shows in text only', { skip: !hasIptables }, async (t) => {
    for (const program of ['iptables-nft', 'ip6tables-nft']) {
      sh(`${flush}; ${program} -N x; ${program} -A INPUT -j x; ${program} -A x -m conntrack --ctstate INVALID -j DROP`);
      const finding = await look();
      t.match(finding, {
        level: 'problem',
        what: `${program}, table filter: -A x -m conntrack --ctstate INVALID -j DROP`,
      });
      sh(finding.fix.join('\n'));
      t.match(await look(), { level: 'ok' });
    }
  });
  await t.test('iptables-legacy, which nft does not show at all', { skip: !hasLegacy }, async (t) => {
    sh(`${flush}; iptables-legacy -A INPUT -m conntrack --ctstate INVALID -j DROP`);
    const finding = await firewallFinding(await readFirewall(), vips.slice(0, 1));
    t.match(finding, { level: 'problem', what: /iptables-legacy, table filter/ });
    sh(finding.fix.join('\n'));
    t.match(firewallFinding(await readFirewall(), vips.slice(0, 1)), { level: 'ok' });
  });
  await t.test('lines of other findings are taken by nft too', async (t) => {
    const ports = [
      { vip: vips[0] ?? '', port: 22, protocol: 'tcp' as const },
      { vip: vips[1] ?? '', port: 53, protocol: 'udp' as const },
    ];
    const { fix } = openPortsFinding(ports);
    sh(`${flush}\n${fix.filter((line) => line.startsWith('nft')).join('\n')}`);
    t.match(
      sh('nft list ruleset'),
      /ip daddr 192\.0\.2\.100 tcp dport 22 drop\n.*ip6 daddr 2001:db8::100 udp dport 53 drop/,
    );
    const rs1 = { name: 'rs1', address: '192.0.2.11', onLink: true, answers: true, answersFull: false };
    sh(mtuFinding(rs1, { director: 1500, realServer: 1500 }, 'eth0').fix.join('\n'));
    t.match(sh('nft list ruleset'), /tcp flags syn tcp option maxseg size set 1360/);
  });
}

async function outsideTests(): Promise<void> {
  await t.test('a program that is missing, fails, or prints something else makes the firewall unknown', async (t) => {
    const root = folder(t);
    onlyPrograms(t, {});
    t.strictSame(await readFirewall(root), { unknown: 'the program nft is missing: apt-get install nftables' });
    onlyPrograms(t, { nft: 'echo "Operation not permitted" >&2; exit 1' });
    t.strictSame(await readFirewall(root), { unknown: 'nft says: Operation not permitted' });
    onlyPrograms(t, { nft: 'exit 1' });
    t.match(await readFirewall(root), { unknown: /^nft says: Command failed/ });
    onlyPrograms(t, { nft: 'echo "{"' });
    t.match(await readFirewall(root), { unknown: /^nft printed what is no JSON: / });
    onlyPrograms(t, { nft: 'echo "{}"' });
    t.strictSame(await readFirewall(root), { unknown: 'nft printed no list of rules' });
    onlyPrograms(t, { nft: '' });
    t.strictSame(await readFirewall(root), { ruleset: { nftables: [] }, saved: [] });
  });
  await t.test('iptables-save is asked where its rules are in use', async (t) => {
    const net = { ip_tables_names: 'filter\n', ip6_tables_names: '' };
    const root = t.testdir({ proc: { net } });
    onlyPrograms(t, { nft: '' });
    t.strictSame(await readFirewall(root), {
      unknown: 'the program iptables-legacy-save is missing: apt-get install iptables',
    });
    onlyPrograms(t, { nft: '', 'iptables-legacy-save': 'echo "*filter"' });
    t.strictSame(await readFirewall(root), {
      ruleset: { nftables: [] },
      saved: [{ by: 'iptables-legacy', text: '*filter\n' }],
    });
  });
  if (!hasNft) t.test('rules of nftables', { skip: 'needs root, nft, and a kernel with nftables' }, async () => {});
  else
    await t.spawn(
      'unshare',
      ['--net', process.execPath, ...typescript, fileURLToPath(import.meta.url)],
      { env: { ...process.env, TEST_FIREWALL_INSIDE: '1' } },
      'in a network namespace',
    );
}

await (inside ? insideTests() : outsideTests());
