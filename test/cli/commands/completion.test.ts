import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { folder, vip, webPool } from '../../api/site.ts';
import { dsrctl, startSite } from '../site.ts';

const shells = ['bash', 'zsh', 'fish'] as const;
const has = (shell: string) => spawnSync(shell, ['-c', 'true']).error === undefined;

async function scriptOf(t: Test, shell: string): Promise<string> {
  const { code, stdout } = await dsrctl(['completion', shell]);
  t.equal(code, 0);
  const file = join(folder(t), `dsrctl.${shell}`);
  writeFileSync(file, stdout);
  return file;
}

for (const shell of shells)
  t.test(`the script for ${shell} is one`, { skip: has(shell) ? false : `no ${shell} here` }, async (t) => {
    const { status, stderr } = spawnSync(shell, ['-n', await scriptOf(t, shell)], { encoding: 'utf8' });
    t.equal(status, 0, stderr);
    t.equal(stderr, '');
  });

/** What bash offers after these words, and what it asks dsrctl for. */
function offered(script: string, ...words: string[]): string[] {
  const lines = [
    'dsrctl() { echo "asked-$2"; }',
    `source ${script}`,
    'compopt() { :; }',
    'COMP_WORDS=(dsrctl "$@"); COMP_CWORD=$#',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's own
    '_dsrctl; printf "%s\\n" "${COMPREPLY[@]}"',
  ];
  return execFileSync('bash', ['-c', lines.join('\n'), 'bash', ...words], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .filter(Boolean);
}

t.test('bash offers commands, options and names where they belong', async (t) => {
  const script = await scriptOf(t, 'bash');
  const has = (words: string[], ...some: string[]) => {
    const found = offered(script, ...words);
    t.strictSame(
      some.filter((one) => !found.includes(one)),
      [],
      `${words.join(' ')}: ${found.join(' ')}`,
    );
  };
  const are = (words: string[], ...all: string[]) => t.strictSame(offered(script, ...words), all, words.join(' '));
  has([''], 'get', 'apply', 'drain', 'completion');
  t.notOk(offered(script, '').includes('__complete'));
  are(['st'], 'status');
  are(['get', 'pool'], 'pools', 'pool');
  are(['get', 'pools', ''], 'asked-pool');
  are(['get', 'pools', 'web', ''], ...[]);
  are(['get', 'real-server', ''], 'asked-pool/server');
  are(['delete', 'agent', ''], 'asked-agent');
  are(['capacity', ''], 'asked-pool');
  are(['capacity', '--peak', ''], ...[]);
  has(['capacity', '--'], '--peak', '--card');
  are(['drain', ''], 'asked-server');
  are(['drain', '--wait', ''], 'asked-server');
  are(['drain', 'rs1', '--pool', ''], 'asked-pool');
  are(['drain', '--deadline', ''], ...[]);
  are(['--controller', 'http://x', 'drain', ''], 'asked-server');
  has(['drain', '--'], '--wait', '--deadline', '--pool', '--json', '--controller');
  are(['agent', ''], 'invite', 'list', 'forget');
  are(['agent', 'invite', ''], 'asked-server');
  are(['agent', 'forget', ''], 'asked-agent');
  are(['token', 'revoke', ''], 'asked-token');
  are(['token', 'create', '--role', ''], 'viewer', 'admin');
  has(['token', 'create', '--'], '--role', '--name', '--expires', '--token-file');
  has(['login', '--token-file', '/etc/pass'], '/etc/passwd');
  are(['completion', ''], 'bash', 'zsh', 'fish');
  has(['apply', '-f', '/etc/pass'], '/etc/passwd');
  has(['import', '/etc/pass'], '/etc/passwd');
});

t.test('names come from the API, and nothing when it is away', async (t) => {
  const c = await startSite(t);
  c.attest('rs1', '192.0.2.11', [vip]);
  await c.call('PUT', '/v1/pools', { pools: { web: webPool(), img: { ...webPool(), vip: '192.0.2.101' } } });
  const names = async (kind: string) => (await c.ok(['__complete', kind])).trim().split('\n');
  t.strictSame(await names('pool'), ['web', 'img']);
  t.strictSame(await names('server'), ['rs1', 'rs2']);
  t.strictSame(await names('pool/server'), ['web/rs1', 'web/rs2', 'img/rs1', 'img/rs2']);
  t.strictSame(await names('agent'), ['rs1']);
  t.equal(await c.ok(['__complete', 'token']), '', 'without tokens there are none');
  await c.stop();
  t.strictSame(await c.ctl(['__complete', 'pool']), { code: 0, stdout: '', stderr: '' });
});

t.test('a shell that there is none for is refused', async (t) => {
  t.match(await dsrctl(['completion', 'csh']), { code: 2, stderr: /Allowed choices are bash, zsh, fish/ });
});
