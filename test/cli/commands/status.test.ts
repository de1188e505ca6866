import t from 'tap';
import { fitReport, vip, webPool } from '../../api/site.ts';
import { answering, startSite, startStub } from '../site.ts';

t.test('status says which server has which weight, and why', async (t) => {
  const c = await startSite(t);
  c.attest('rs1', '192.0.2.11', [vip]);
  await c.call('PUT', '/v1/pools/web?waitMs=5000', webPool());
  for (const text of [await c.ok(['status']), await c.ok(['status', 'web'])]) {
    t.match(text, /^http:\/\/127\.0\.0\.1:\d+ {2}eth0 {2}revision 1, in the kernel\n/);
    t.match(text, /\nweb {2}192\.0\.2\.100 {2}1 of 2 real servers in service {2}not well\n/);
    t.match(text, /\n {2}rs1 +192\.0\.2\.11 +100 +0 +- +- +in service: answered/);
    t.match(text, /\n {2}rs2 +192\.0\.2\.12 +0 +0 +- +- +no agent has reported for rs2 yet/);
  }
  t.match(await c.ok(['status']), /\n1 pool, 1 of 2 real servers in service, 2 destinations\n/);
  t.match(JSON.parse(await c.ok(['status', '--json'])), { counts: { serving: 1 } });
  t.match(JSON.parse(await c.ok(['status', 'web', '--json'])).pools.web.realServers.rs1, { weight: 100 });
  t.match(await c.ctl(['status', 'none']), { code: 1, stderr: /there is no pool "none"/ });
});

t.test('an empty controller is one line', async (t) => {
  const c = await startSite(t);
  t.match(await c.ok(['status']), /\n0 pools, 0 of 0 real servers in service, 0 destinations\n/);
});

t.test('of very many pools the summary is shown', async (t) => {
  const c = await startSite(t);
  const pool = (i: number) => ({ ...webPool(), vip: `198.51.${100 + (i >> 7)}.${(i & 127) + 1}` });
  await c.call('PUT', '/v1/pools?waitMs=5000', {
    pools: Object.fromEntries([...Array(60).keys()].map((i) => [`p${i}`, pool(i)])),
  });
  const asked: string[] = [];
  c.onAnswer.does = (request) => asked.push(request);
  const text = await c.ok(['status']);
  t.strictSame(asked, ['GET /v1/status']);
  t.match(text, /\np59 +198\.51\.100\.60 +0 of 2 +not well\n/);
  t.match(text, /\np7\/rs1 {2}no agent has reported/);
});

t.test('--watch draws again and again, and shows no old figures when the controller is away', async (t) => {
  const c = await startSite(t);
  c.attest('rs1', '192.0.2.11', [vip]);
  await c.call('PUT', '/v1/pools/web?waitMs=5000', webPool());
  const seen = c.start(['status', '--watch', '--interval', '100ms'], { tty: true, env: { NO_COLOR: '1' } });
  await seen.says(/1 of 2 real servers in service[\s\S]*1 of 2 real servers in service/);
  t.ok(seen.stdout.text.startsWith('\u001b[?1049h'), 'in the alternate screen');
  await c.stop();
  await seen.says(/does not answer/);
  const away = seen.stdout.text.slice(seen.stdout.text.lastIndexOf('\u001b[H'));
  t.match(away, /last seen \d{4}-\d\d-\d\dT[\d:]+Z, \d+ m?s ago/);
  t.match(away, /cannot be reached/);
  t.notMatch(away, /rs1|real servers/);
  seen.interrupt();
  t.equal(await seen.ended, 0);
  t.ok(seen.stdout.text.endsWith('\u001b[?25h\u001b[?1049l'), 'and the screen is as it was');
});

t.test(
  'lines that are wider than the terminal are cut, and one that does not know its width counts as 80',
  async (t) => {
    const c = await startSite(t);
    await c.call('PUT', '/v1/pools/web?waitMs=5000', webPool());
    for (const [columns, width] of [
      [50, 50],
      [0, 80],
    ] as const) {
      const seen = c.start(['status', '--watch', '--interval', '100ms'], {
        tty: true,
        columns,
        env: { NO_COLOR: '1' },
      });
      await seen.says(/rs2/);
      seen.interrupt();
      t.equal(await seen.ended, 0);
      const lines = seen.stdout.text.split('\r\n').map((line) => line.replace('\u001b[K', ''));
      t.equal(lines.find((line) => line.includes('rs2'))?.length, width);
    }
  },
);

t.test('--watch into a pipe has no escape sequences, and is a document a line with --json', async (t) => {
  const c = await startSite(t);
  const plain = c.start(['status', '--watch', '--interval', '100ms']);
  await plain.says(/(0 pools[\s\S]*){3}/);
  plain.interrupt();
  t.equal(await plain.ended, 0);
  t.notMatch(plain.stdout.text, '\u001b');
  const json = c.start(['status', '--watch', '--json', '--interval', '100ms']);
  await json.says(/(.*counts.*\n){3}/);
  await c.stop();
  await json.says(/unreachable.*\n/);
  json.interrupt();
  t.equal(await json.ended, 0);
  const documents = json.stdout.text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  t.match(documents.at(0), { counts: { pools: 0 } });
  t.match(documents.at(-1), { unreachable: /cannot be reached/, lastSeen: String });
});

t.test('a controller that comes back is shown again, and one that hangs is away', async (t) => {
  const head = { storedRevision: 1, reconciledRevision: 1, interface: 'eth0' };
  const counts = { pools: 0, realServers: 0, serving: 0, destinations: 0, draining: 0 };
  const ok = answering({ '/v1/status': { ...head, counts, pools: {}, unwell: [] } });
  let away = false;
  let hangs = false;
  const { base } = await startStub(t, (request, response) => {
    if (!hangs) away ? response.destroy() : ok(request, response);
  });
  const c = await startSite(t);
  const seen = c.start(['status', '--watch', '--interval', '100ms', '--controller', base], { tty: true });
  await seen.says(/0 pools/);
  away = true;
  await seen.says(/it ended the connection/);
  away = false;
  await seen.says(/it ended the connection[\s\S]*0 pools/);
  hangs = true;
  await seen.says(/does not answer[\s\S]*it takes the request, but does not answer/);
  seen.interrupt();
  t.equal(await seen.ended, 0);
});

t.test('a watch that cannot begin opens no screen', async (t) => {
  const c = await startSite(t);
  await c.stop();
  for (const argv of [['status', '--watch'], ['top']])
    t.match(await c.ctl(argv, { tty: true }), { code: 1, stdout: '', stderr: /cannot be reached/ });
});

t.test('status and top show what goes through the cards', async (t) => {
  const c = await startSite(t);
  await c.call('PUT', '/v1/pools/web?waitMs=5000', webPool());
  const counted = { mac: '02:00:00:00:00:11', rxBytes: 0, rxPackets: 0, txPackets: 0, rxLost: 0, txLost: 0 };
  const report = (at: number, txBytes: number) =>
    c.call('POST', '/v1/agents/rs1/report', {
      ...fitReport('rs1', '192.0.2.11', [vip]),
      card: { ...counted, interface: 'eth0', speedMbit: 100, txBytes, at },
    });
  await report(0, 0);
  await report(1000, 11_250_000);
  const status = await c.ok(['status']);
  t.match(status, /\nrs1 +eth0 +90\.0 +0\.00 +100 +90 % +0\n/);
  t.match(status, /\nreplies of the real servers: 90\.0 Mbit\/s/);
  t.match(status, /\nbottleneck: rs1's card, out, 90 %: it is full\n/);
  t.match(status, /\n {2}rs1 +192\.0\.2\.11 +\d+ +0 +90\.0 +90 % /);
  const top = c.start(['top', '--interval', '100ms']);
  await top.says(/\nrs1 +eth0 +90\.0/);
  top.interrupt();
  t.equal(await top.ended, 0);
});
