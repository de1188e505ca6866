import { appendFileSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { openAudit } from '../../src/store/audit.ts';
import { folder } from '../api/site.ts';

const fail = (error: Error) => {
  throw error;
};
const entry = (what: string, more: object = {}) => ({ who: 'root', from: null, what, status: 200, ...more });
const linesOf = (path: string) => readFileSync(path, 'utf8').trimEnd().split('\n');

t.test('each entry is a line of JSON on disk before it is answered, and read again after a restart', async (t) => {
  const path = join(folder(t), 'audit.log');
  const audit = openAudit({ path, failed: fail, now: () => 0 });
  await audit.add(entry('one', { before: { a: 1 }, after: { a: 2 } }));
  t.strictSame(
    linesOf(path).map((line) => JSON.parse(line)),
    [{ time: '1970-01-01T00:00:00.000Z', ...entry('one'), before: { a: 1 }, after: { a: 2 } }],
  );
  t.equal(statSync(path).mode & 0o777, 0o600);
  await Promise.all(['two', 'three'].map((what) => audit.add(entry(what))));
  const again = openAudit({ path, failed: fail });
  t.strictSame(
    again.last(2).map(({ what }) => what),
    ['two', 'three'],
  );
  t.strictSame(again.last(0), []);
});

t.test('a line that a crash cut off costs no other', async (t) => {
  const path = join(folder(t), 'audit.log');
  await openAudit({ path, failed: fail }).add(entry('one'));
  appendFileSync(path, '{"time":"2026-');
  const audit = openAudit({ path, failed: fail });
  await audit.add(entry('two'));
  await audit.add(entry('three'));
  t.strictSame(
    openAudit({ path, failed: fail })
      .last(10)
      .map(({ what }) => what),
    ['one', 'two', 'three'],
  );
  t.equal(linesOf(path).length, 4);
});

t.test('the file is set aside when it is large, and a few older ones are kept', async (t) => {
  const path = join(folder(t), 'audit.log');
  const audit = openAudit({ path, failed: fail, most: 1000 });
  for (let i = 0; i < 100; i++) await audit.add(entry(`change ${i}`));
  t.ok([path, ...[1, 2, 3, 4].map((i) => `${path}.${i}`)].every((file) => statSync(file).size < 1300));
  t.notOk(existsSync(`${path}.5`));
  t.match(linesOf(path).at(-1), 'change 99');
});

t.test('what is very long is in the file, not in memory', async (t) => {
  const path = join(folder(t), 'audit.log');
  const audit = openAudit({ path, failed: fail });
  await audit.add(entry('large', { after: 'x'.repeat(30_000) }));
  t.notOk('after' in (audit.last(1)[0] ?? {}));
  t.ok(readFileSync(path, 'utf8').length > 30_000);
});

t.test('where it cannot be written that is told, and nothing waits for it', async (t) => {
  const path = join(folder(t), 'audit.log');
  mkdirSync(path);
  const told: string[] = [];
  const audit = openAudit({ path, failed: ({ message }) => told.push(message) });
  await audit.add(entry('one'));
  t.match(told, [/EISDIR/]);
  t.equal(audit.last(5).length, 1);
  const file = join(folder(t), 'file');
  writeFileSync(file, 'no JSON\n[]\nnull\n5\n');
  t.equal(openAudit({ path: file, failed: fail }).last(9).length, 1, 'only objects are entries');
  await audit.stop();
});
