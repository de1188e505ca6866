import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { CodedError, RequestError } from '../src/errors.ts';
import { holdFolder } from '../src/kernel/lock.ts';
import { explain } from '../src/program.ts';
import { type Ended, programs, root, run } from './api/run.ts';
import { folder } from './api/site.ts';
import { typescript } from './typescript.ts';

const eth0 = ['--interface', 'eth0'];
const elsewhere = ['--controller', 'https://192.0.2.1:7100'];
// As root without any capability, so that the files of this package can still be read.
const powerless = process.getuid?.() === 0 ? ['setpriv', '--bounding-set=-all', '--inh-caps=-all'] : [];

/** Fails unless the program ended with this code and one line of words for people. */
function ends(t: Test, { code, stdout, stderr }: Ended, exitCode: number, ...words: (RegExp | string)[]): void {
  t.equal(code, exitCode, stderr);
  t.equal(stdout, '');
  t.match(stderr, /^dsr-(controller|agent): .*\n$/, 'one line');
  for (const word of words) t.match(stderr, word);
}

t.test('what cannot go on is explained on stderr, with its exit code', async (t) => {
  const written: string[] = [];
  const say = (error: unknown) => {
    const { write } = process.stderr;
    process.stderr.write = ((line: string) => written.push(line) > 0) as typeof write;
    try {
      return explain('dsr-x', error);
    } finally {
      process.stderr.write = write;
    }
  };
  t.equal(say(new CodedError('BAD_SETTING', 'listen: no', 2)), 2);
  t.equal(say(new CodedError('EPERM', 'run as root', 3)), 3);
  t.equal(say(new RequestError('NOT_FOUND', 'nothing')), 1);
  t.equal(say(new Error('a bug')), 1);
  t.equal(say('thrown text'), 1);
  t.match(written, [
    'dsr-x: listen: no\n',
    'dsr-x: run as root\n',
    'dsr-x: nothing\n',
    /^dsr-x: Error: a bug\n +at /,
    'dsr-x: thrown text\n',
  ]);
});

/** Runs a few lines around onStop, and sends a signal after each line that they print. */
async function stopping(t: Test, stop: string, ...signals: NodeJS.Signals[]) {
  const file = join(folder(t), 'stopping.ts');
  writeFileSync(
    file,
    `import { onStop } from ${JSON.stringify(join(root, 'src/program.ts'))};
     setInterval(() => {}, 1000);
     onStop(async (signal) => { console.log(signal); ${stop} });
     console.log('ready');`,
  );
  const child = spawn(process.execPath, [...typescript, file], { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
  const exit = once(child, 'exit');
  let out = '';
  for await (const chunk of child.stdout) {
    out += chunk;
    const signal = signals.shift();
    if (signal) child.kill(signal);
  }
  const [code] = await exit;
  return { out, code };
}

t.test('SIGTERM and SIGINT stop a program once and end it with 0, or with 1 when stopping fails', async (t) => {
  const slow = 'await new Promise((resolve) => setTimeout(resolve, 100));';
  const [once, twice, failing] = await Promise.all([
    stopping(t, slow, 'SIGTERM'),
    stopping(t, slow, 'SIGINT', 'SIGTERM'),
    stopping(t, 'throw new Error("no");', 'SIGTERM'),
  ]);
  t.strictSame(once, { out: 'ready\nSIGTERM\n', code: 0 });
  t.strictSame(twice, { out: 'ready\nSIGINT\n', code: 0 });
  t.strictSame(failing, { out: 'ready\nSIGTERM\n', code: 1 });
});

t.test('bad usage ends with 2 and names the setting', async (t) => {
  const [controller, agent] = await Promise.all([
    run(programs.controller, eth0, { DSR_LISTEN: 'everywhere' }),
    run(programs.agent, ['--controller', 'http://192.0.2.1']),
  ]);
  ends(t, controller, 2, 'DSR_LISTEN: an address with a port');
  ends(t, agent, 2, '--controller: http://192.0.2.1 is plain HTTP');
});

t.test('--version ends with 0 and the version of the package', async (t) => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  t.strictSame(await run(programs.agent, ['--version']), { code: 0, stdout: `${version}\n`, stderr: '' });
});

t.test('a damaged or newer state file ends with 1, names the file and what to do, and is not touched', async (t) => {
  const damaged: [keyof typeof programs, string, string, RegExp][] = [
    ['controller', 'state.json', '{"version":1,"rev', /is damaged .*move the file away to start without it: mv /],
    ['controller', 'state.json', '{"version":2}', /was written by a newer version \(format 2; this one reads 1\)/],
    ['controller', 'agents.json', 'null', /is damaged .*Nothing was changed\./],
    ['agent', 'agent.json', '{"version":9}', /was written by a newer version .*Install that version again/],
  ];
  await Promise.all(
    damaged.map(async ([program, name, content, words]) => {
      const dir = folder(t);
      const path = join(dir, name);
      writeFileSync(path, content);
      const before = statSync(path);
      const args = [...(program === 'agent' ? elsewhere : eth0), '--state-dir', dir];
      // Without privilege the kernel would be refused with 3: the file is looked at first.
      ends(t, await run(programs[program], args, {}, powerless), 1, words, path);
      t.equal(readFileSync(path, 'utf8'), content);
      t.equal(statSync(path).mtimeMs, before.mtimeMs);
      t.strictSame(readdirSync(dir), [name], 'nothing beside it');
    }),
  );
});

t.test('a state folder that another process holds ends with 1', async (t) => {
  const dir = folder(t);
  holdFolder(dir, 'dsr-controller');
  const ended = await run(programs.controller, [...eth0, '--state-dir', dir]);
  ends(t, ended, 1, `another dsr-controller runs with the state folder ${dir}; stop that one first`);
});

t.test('without privilege both programs end with 3, and say which and how to get it', async (t) => {
  const ended = await Promise.all([
    run(programs.controller, [...eth0, '--state-dir', folder(t)], {}, powerless),
    run(programs.agent, [...elsewhere, '--state-dir', folder(t)], {}, powerless),
  ]);
  for (const one of ended) ends(t, one, 3, /missing privilege; run as root or with CAP_NET_ADMIN/);
});

const modules = `/lib/modules/${readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim()}/modules.dep`;
const hasIpvs =
  existsSync('/proc/net/ip_vs') || (existsSync(modules) && readFileSync(modules, 'utf8').includes('/ip_vs.ko'));
const skip = process.getuid?.() !== 0 ? 'needs root' : hasIpvs ? 'this kernel has ip_vs' : false;

t.test('a kernel without ip_vs ends the controller with 3, and says how to get it', { skip }, async (t) => {
  const dir = folder(t);
  const ended = await run(programs.controller, [...eth0, '--state-dir', dir]);
  ends(t, ended, 3, /no IPVS: load it with `modprobe ip_vs`/);
  t.strictSame(readdirSync(dir), [], 'and nothing was written');
});

t.test('an agent on the host of its controller ends with 2, and says why', async (t) => {
  const own = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
  for (const host of own ? ['localhost', own] : ['localhost']) {
    const dir = join(folder(t), 'none');
    const args = ['--controller', `http://${host}:7100`, '--insecure', 'true', '--state-dir', dir];
    const ended = await run(programs.agent, args);
    ends(t, ended, 2, /is this host's own: this is the director, and an agent here would silence the VIP's ARP/);
    t.notOk(existsSync(dir));
  }
});
