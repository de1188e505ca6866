import { execFileSync } from 'node:child_process';
import { openSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { root } from './api/run.ts';
import { folder } from './api/site.ts';
import { typescript } from './typescript.ts';

/** Runs lines that log, with standard output and standard error in a file, which is the journal or is not. */
function written(t: Test, lines: string, isJournal: boolean): string {
  const file = join(folder(t), 'journal');
  const fd = openSync(file, 'a');
  const { dev, ino } = statSync(file, { bigint: true });
  const code = `
    import { createLog } from './src/log.ts';
    import { explain } from './src/program.ts';
    const log = createLog('dsr-x', 'trace', process.env);
    ${lines}`;
  const JOURNAL_STREAM = isJournal ? `${dev}:${ino}` : `${dev}:${ino + 1n}`;
  execFileSync(process.execPath, [...typescript, '--input-type=module', '--eval', code], {
    cwd: root,
    env: { ...process.env, JOURNAL_STREAM },
    stdio: ['ignore', fd, fd],
  });
  return readFileSync(file, 'utf8');
}

t.test('for the journal each message is one line with its priority, the words first', async (t) => {
  const text = written(
    t,
    `log.fatal('f'); log.error({ err: new Error('no') }, 'e'); log.warn({ interface: 'eth0' }, 'no such interface');
     log.info({}, 'i'); log.debug('two\\nlines'); log.trace({ only: 'keys' }); log.child({ of: 'child' }).info('c');`,
    true,
  );
  const lines = text.split('\n');
  t.match(lines[1], /^<3>e \{"err":\{"type":"Error","message":"no","stack":".*\}$/);
  lines.splice(1, 1);
  t.strictSame(lines, [
    '<2>f',
    '<4>no such interface {"interface":"eth0"}',
    '<6>i',
    '<7>two lines',
    '<7> {"only":"keys"}',
    '<6>c {"of":"child"}',
    '',
  ]);
});

t.test('why a program cannot go on is an error in the journal, with every line of it', async (t) => {
  const text = written(t, `explain('dsr-x', 'first\\nsecond');`, true);
  t.equal(text, '<3>dsr-x: first\n<3>second\n');
});

t.test('anywhere else it is JSON with time, program and process', async (t) => {
  const text = written(t, `log.warn({ interface: 'eth0' }, 'no such interface');`, false);
  t.match(JSON.parse(text), { level: 40, name: 'dsr-x', interface: 'eth0', msg: 'no such interface', time: Number });
});
