import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import { stringify } from 'yaml';
import { treeLines } from '../../../src/cli/view/tree.ts';
import { folder, webPool } from '../../api/site.ts';
import { poolsArb } from '../../arbitraries.ts';
import { holds } from '../../property.ts';
import { startSite } from '../site.ts';

const twoPools = () => ({ pools: { web: webPool(), img: { ...webPool(), vip: '192.0.2.101' } } });
const onlyWeb = () => ({ pools: { web: webPool() } });
const text = (document: unknown) => JSON.stringify(document);

t.test('apply shows what differs, stores it, and changes nothing the second time', async (t) => {
  const c = await startSite(t);
  const file = join(folder(t), 'pools.yaml');
  writeFileSync(file, stringify(onlyWeb()));
  const first = await c.ok(['apply', '-f', file, '--wait', '10']);
  t.match(first, /^ {2}pools:\n\+ {3}web:\n\+ {5}vip: 192\.0\.2\.100\n/);
  t.match(first, /\nrevision 1: stored, and in the director's kernel\n$/);
  t.equal(await c.ok(['apply', '-f', file]), 'nothing differs from revision 1\n');

  const changed = onlyWeb();
  changed.pools.web.realServers.rs1.weight = 50;
  const dry = await c.ok(['apply', '-f', '-', '--dry-run'], { stdin: text(changed) });
  t.equal(dry, '  pools:\n    web:\n      realServers:\n        rs1:\n-         weight: 100\n+         weight: 50\n');
  t.equal((await c.call('GET', '/v1/pools')).body.revision, 1, 'a dry run stores nothing');
  const json = JSON.parse(await c.ok(['apply', '-f', '-', '--json'], { stdin: text(changed) }));
  t.match(json, { changed: true, answer: { revision: 2 } });
  t.strictSame(json.diff, dry.trimEnd().split('\n'));
  t.strictSame(JSON.parse(await c.ok(['apply', '-f', '-', '--json'], { stdin: text(changed) })), {
    changed: false,
    diff: [],
    answer: null,
  });
});

t.test('the difference is coloured on a terminal, and not with NO_COLOR', async (t) => {
  const c = await startSite(t);
  const around = { stdin: text(onlyWeb()), tty: true };
  const argv = ['apply', '-f', '-', '--dry-run'];
  t.match(await c.ok(argv, around), '\u001b[32m+   web:\u001b[0m\n');
  t.notMatch(await c.ok(argv, { ...around, env: { NO_COLOR: '1' } }), '\u001b');
  t.match(await c.ok(argv, { ...around, env: { NO_COLOR: '' } }), '\u001b');
  t.notMatch(await c.ok(argv, { ...around, tty: false }), '\u001b');
});

t.test('what would be deleted is asked about, or said with --yes', async (t) => {
  const c = await startSite(t);
  const file = join(folder(t), 'pools.json');
  writeFileSync(file, text(onlyWeb()));
  const reset = () => c.call('PUT', '/v1/pools', twoPools());
  const names = async () => Object.keys((await c.call('GET', '/v1/pools')).body.pools);
  await reset();

  const refused = await c.ctl(['apply', '-f', file]);
  t.match(refused, { code: 2, stderr: /This deletes pool img\. There is no terminal to ask on: --yes says/ });
  t.match(await c.ctl(['apply', '-f', '-'], { stdin: text(onlyWeb()) }), { code: 2 });
  for (const typed of ['n\n', '\n', 'yesterday\n'])
    t.match(await c.ctl(['apply', '-f', file], { typed }), { code: 1, stderr: /Go on\? .*nothing was changed\n$/s });
  t.strictSame(await names(), ['web', 'img']);

  t.match(await c.ctl(['apply', '-f', file], { typed: 'y\n' }), { code: 0 });
  t.strictSame(await names(), ['web']);
  await reset();
  t.match(await c.ok(['apply', '-f', file, '--yes']), /^- {3}img:/m);
  t.strictSame(await names(), ['web']);
});

t.test('what somebody else changed in between is not lost', async (t) => {
  const c = await startSite(t);
  await c.call('PUT', '/v1/pools', onlyWeb());
  const wanted = onlyWeb();
  wanted.pools.web.realServers.rs1.weight = 50;
  const once = (change: () => unknown) => {
    c.onAnswer.does = (request) => {
      if (request !== 'GET /v1/pools') return undefined;
      c.onAnswer.does = () => {};
      return change();
    };
  };
  // The answer that dsrctl compares with is on its way when somebody else writes.
  once(() => c.state.change((now) => ({ ...now, revision: now.revision + 1, pools: { ...now.pools, ...other } })));
  const other = {
    img: { revision: 9, pool: { ...structuredClone(c.state.get().pools.web!.pool), vip: '192.0.2.101' } },
  };
  const ended = await c.ctl(['apply', '-f', '-', '--yes'], { stdin: text(wanted) });
  t.match(ended, {
    code: 1,
    stderr: /somebody changed the pools while you looked \(now revision 2\): nothing was stored/,
  });
  t.match((await c.call('GET', '/v1/pools')).body, {
    revision: 2,
    pools: { web: { realServers: { rs1: { weight: 100 } } } },
  });

  once(() => c.state.change((now) => ({ ...now, revision: now.revision + 1 })));
  const both = { pools: { ...wanted.pools, img: { ...webPool(), vip: '192.0.2.101' } } };
  await c.ok(['apply', '-f', '-', '--yes'], { stdin: text(both) });
  t.equal((await c.call('GET', '/v1/pools')).body.revision, 4, 'a revision that changed no pool hinders nobody');
});

t.test('a file that is none is named, and what is right', async (t) => {
  const c = await startSite(t);
  const bare = text({ web: webPool() });
  for (const [stdin, words] of [
    [bare, /^dsrctl: the standard input is a map of pools, without "pools" around it; write \{ "pools": \{ NAME/],
    [text(webPool()), /is one pool without its name; write/],
    ['{ "pools": [] }', /has no "pools", or they are no map/],
    ['[]', /holds no pools document/],
    ['', /holds no pools document/],
    ['a: b: c', /cannot be read as YAML or JSON: .* line 1/],
    ['{"pools": {', /cannot be read as YAML or JSON/],
    ['{"pools": {"web": {}, "web": {}}}', /cannot be read as YAML or JSON: Map keys must be unique at line 1/],
    ['a: &a [1]\npools: *b', /cannot be read as YAML or JSON/],
  ] as const)
    for (const command of ['apply', 'plan'])
      t.match(await c.ctl([command, '-f', '-'], { stdin }), { code: 2, stdout: '', stderr: words }, stdin);
  t.match(await c.ctl(['apply', '-f', '/nonexistent']), {
    code: 2,
    stderr: /\/nonexistent cannot be read: there is no such/,
  });
  t.match(await c.ctl(['apply']), { code: 2, stderr: /required option '-f, --file <file>' not specified/ });
  t.match(await c.ctl(['import', '/']), { code: 2, stderr: /\/ cannot be read: EISDIR/ });
});

t.test('pools that are wrong are refused in the words of the API, in a dry run too', async (t) => {
  const c = await startSite(t);
  const wrong = { pools: { web: { ...webPool(), vip: 5, colour: 'red' } } };
  const clash = { pools: { web: webPool(), img: webPool() } };
  for (const argv of [
    ['apply', '-f', '-'],
    ['apply', '-f', '-', '--dry-run'],
    ['plan', '-f', '-'],
  ]) {
    const ended = await c.ctl(argv, { stdin: text(wrong) });
    t.match(ended, { code: 1, stderr: /^dsrctl: The request is not valid \(INVALID_REQUEST\)\n {2}pools\.web\.vip: / });
    t.match(ended.stderr, /\n {2}pools\.web\.colour: there is no such field; take it out/);
    const clashing = await c.ctl(argv, { stdin: text(clash) });
    t.match(clashing, { code: 1, stderr: /CONFLICT\)\n {2}pools\.img\.ports\.80\/tcp: .* belongs to pool "web"/ });
  }
});

t.test('plan prints the lines that a person would type, and changes nothing', async (t) => {
  const c = await startSite(t);
  const around = { stdin: text(onlyWeb()) };
  const plan = await c.ok(['plan', '-f', '-'], around);
  t.match(plan, /^# director\n/);
  t.match(plan, 'ipvsadm -A -t 192.0.2.100:80 -s wlc\n');
  t.match(plan, 'ip addr add 192.0.2.100/32 dev eth0\n');
  const { steps } = JSON.parse(await c.ok(['plan', '-f', '-', '--json'], around));
  t.strictSame(
    plan.trimEnd().split('\n').slice(1),
    steps.map(({ command }: { command: string }) => command),
  );
  t.equal((await c.call('GET', '/v1/pools')).body.revision, 0);
  await c.call('PUT', '/v1/pools?waitMs=5000', onlyWeb());
  t.equal(await c.ok(['plan', '-f', '-'], around), 'nothing is to be done\n');
});

t.test('export and import are backup and restore', async (t) => {
  const c = await startSite(t);
  await c.call('PUT', '/v1/pools', twoPools());
  const stored = (await c.call('GET', '/v1/pools')).body;
  t.strictSame(JSON.parse(await c.ok(['export'])), stored);
  const dir = folder(t);
  for (const name of ['pools.json', 'pools.yaml']) {
    await c.call('PUT', '/v1/pools', twoPools());
    const file = join(dir, name);
    t.equal((await c.ctl(['export', file])).stderr, `written to ${file}\n`);
    t.equal(readFileSync(file, 'utf8').startsWith('{'), name.endsWith('.json'));
    await c.call('DELETE', '/v1/pools');
    t.match(await c.ctl(['import', file]), {
      code: 2,
      stderr: /This changes the pools as shown\. There is no terminal/,
    });
    t.match(await c.ok(['import', file, '--dry-run']), /^\+ {3}img:/m);
    t.match(await c.ctl(['import', file], { typed: 'no\n' }), { code: 1 });
    t.match(await c.ctl(['import', file], { typed: 'yes\n' }), { code: 0, stdout: /^\+ {3}img:/m });
    t.strictSame((await c.call('GET', '/v1/pools')).body.pools, stored.pools);
    t.match(await c.ok(['import', file]), /^nothing differs/);
  }
  t.match(await c.ctl(['export', '/nonexistent/file']), { code: 2, stderr: /\/nonexistent\/file cannot be written/ });
});

t.test(
  'a file that may not be read ends with 3',
  { skip: process.getuid?.() === 0 && 'root may read all' },
  async (t) => {
    const c = await startSite(t);
    const file = join(folder(t), 'secret');
    writeFileSync(file, '{}');
    chmodSync(file, 0);
    t.match(await c.ctl(['apply', '-f', file]), { code: 3, stderr: /permission denied/ });
  },
);

t.test('for any pools', async (t) => {
  const c = await startSite(t);
  holds(
    t,
    'applying what was exported changes nothing, as JSON and as YAML',
    fc.asyncProperty(poolsArb, async (pools) => {
      await c.call('PUT', '/v1/pools', { pools });
      const exported = await c.ok(['export']);
      const yaml = treeLines(JSON.parse(exported)).join('\n');
      for (const stdin of [exported, yaml, text({ pools })])
        if (!/^nothing differs from revision \d+\n$/.test(await c.ok(['apply', '-f', '-'], { stdin }))) return false;
      return isDeepStrictEqual((await c.call('GET', '/v1/pools')).body.pools, pools);
    }),
    15,
  );
  holds(
    t,
    'applying makes the pools so, whatever they were',
    fc.asyncProperty(poolsArb, async (pools) => {
      await c.ok(['apply', '-f', '-', '--yes'], { stdin: text({ pools }) });
      return isDeepStrictEqual((await c.call('GET', '/v1/pools')).body.pools, pools);
    }),
    15,
  );
});
