import t from 'tap';
import { startSite, startStub } from '../site.ts';

t.test('events are listed, all or after one', async (t) => {
  const c = await startSite(t);
  c.events.add('one', 'first', { pool: 'web', realServer: 'rs1' });
  c.events.add('two', 'a \u001b[2J trap\nand a line');
  const lines = (await c.ok(['events'])).trimEnd().split('\n');
  t.match(lines[0], /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ {2}one {2}web\/rs1: first$/);
  t.match(lines[1], 'two  a \\u{1b}[2J trap\\u{a}and a line');
  t.equal(lines.length, 2);
  const { events } = JSON.parse(await c.ok(['events', '--json']));
  t.match(events, [{ message: 'first' }, { message: 'a \u001b[2J trap\nand a line' }]);
  const rest = JSON.parse(await c.ok(['events', '--after', String(events[0].id), '--json']));
  t.strictSame(rest.events, [events[1]]);
  t.match(await c.ctl(['events', '--after', 'x']), {
    code: 2,
    stderr: /'x' is invalid\. An event id is a whole number/,
  });
});

t.test('--follow tells what happens as it happens', async (t) => {
  const c = await startSite(t);
  c.events.add('one', 'before');
  const [first] = c.events.since();
  const seen = c.start(['events', '--follow']);
  await seen.says(/before/);
  c.events.add('two', 'meanwhile', { agent: 'rs1' });
  await seen.says(/two {2}meanwhile\n/);
  const after = c.start(['events', '--follow', '--json', '--after', String(first?.id)]);
  await after.says(/meanwhile.*\n/);
  t.match(JSON.parse(after.stdout.text), { type: 'two', agent: 'rs1' });
  for (const one of [seen, after]) {
    one.interrupt();
    t.equal(await one.ended, 0);
  }
});

t.test('--follow goes on after a break where it was, and says that there was one', async (t) => {
  const asked: (string | string[] | undefined)[] = [];
  const event = (id: number) =>
    `id: ${id}\nevent: x\ndata: ${JSON.stringify({ id, time: '2026-01-01T00:00:00.5Z', type: 'x', message: `event ${id}` })}\n\n`;
  const { base } = await startStub(t, (request, response) => {
    asked.push(request.headers['last-event-id']);
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const id = asked.length;
    response.write(`retry: 1000\n\n${event(id)}: still here\n\n`);
    if (id < 3) setImmediate(() => (id === 1 ? response.end() : response.destroy()));
  });
  const c = await startSite(t);
  const seen = c.start(['events', '--follow', '--after', '7', '--controller', base]);
  await seen.says(/event 3/);
  seen.interrupt();
  t.equal(await seen.ended, 0);
  t.strictSame(asked, ['7', '1', '2']);
  t.equal(seen.stdout.text.split('\n').length, 4);
  t.equal(seen.stderr.text.match(/ended: trying again/g)?.length, 2);
  t.match(seen.stderr.text, /the controller is back/);
});

t.test('--follow that cannot begin is a failure', async (t) => {
  const c = await startSite(t);
  await c.stop();
  t.match(await c.ctl(['events', '--follow']), { code: 1, stdout: '', stderr: /cannot be reached: nothing listens/ });
});
