import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { standLab } from '../../infra/lab/standing.ts';
import { namelessControls, openBrowser, openPage } from './browser.ts';

t.setTimeout(600_000);
/** Real servers whose cards even a busy machine can fill. */
const lab = await standLab(['--mbit', '30', '--seconds', '2']);
t.teardown(lab.down);
const browser = await openBrowser(t);
const { page, complaints } = await openPage(t, browser, lab.url);
const row = (name: string) => page.getByRole('row').filter({ has: page.getByRole('rowheader', { name }) });
/** Weights of port 80 by real server's address, as the director's kernel has them. */
const weights = async () => {
  const text = await lab.shell('director', ['ipvsadm', '-Ln']);
  return Object.fromEntries([...text.matchAll(/-> (\S+):80 +Route +(\d+) /g)].map(([, rip, weight]) => [rip, weight]));
};
const until = async (what: string, condition: () => Promise<boolean>) => {
  for (let i = 0; i < 600; i++) {
    if (await condition()) return;
    await sleep(200);
  }
  throw new Error(`never: ${what}`);
};
/** Of all cards, as the page shows it. */
const replies = async () =>
  Number(/([\d.]+) Mbit\/s of replies/.exec((await page.locator('.picture').textContent()) ?? '')?.[1]);

t.test('under load the picture moves: replies past the director, which carries next to nothing', async (t) => {
  const load = lab.load(6);
  await until('replies to flow', async () => (await replies()) > 20);
  // A rate is over some seconds: at first it has what went before the load in it.
  const share = `fetch('/v1/status').then((r) => r.json()).then((s) => s.traffic.directorSharePercent ?? 100)`;
  await until(
    'the director to carry next to nothing meanwhile',
    async () => (await replies()) > 20 && Number(await page.evaluate(share)) < 5,
  );
  t.pass('it does');
  const at = () => page.evaluate(`document.querySelector('.ribbon.reply .grains').style.strokeDashoffset`);
  const before = await at();
  await until('it to move', async () => (await at()) !== before);
  await load.end();
  await until('it to stop', async () => (await replies()) < 1);
});

t.test('a drain by clicking is a weight of 0 in the kernel, and a return brings it back', async (t) => {
  t.strictSame(await weights(), { '192.0.2.11': '100', '192.0.2.12': '100', '192.0.2.13': '100' });
  await page.getByRole('button', { name: 'Drain rs1' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Drain rs1' }).click();
  await row('rs1').getByText('drained', { exact: true }).waitFor();
  t.notMatch((await weights())['192.0.2.11'], /[1-9]/);
  await page.getByRole('button', { name: 'Return rs1' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Return rs1' }).click();
  await row('rs1').getByText('in service', { exact: true }).waitFor();
  await until('its weight', async () => (await weights())['192.0.2.11'] === '100');
});

t.test('a killed web server turns red within 2 s and says what to do, and doing that mends it', async (t) => {
  const pid = (await lab.shell('rs2', ['pgrep', '-f', '^lighttpd .*rs2/images.conf'])).trim();
  const seen = row('rs2').getByText('out of service', { exact: true });
  const [killedAt, seenAt] = await Promise.all([
    lab.shell('rs2', ['sh', '-c', `date +%s%3N; kill -9 ${pid}`]).then(Number),
    seen.waitFor().then(() => Date.now()),
  ]);
  const took = seenAt - killedAt;
  t.ok(took < 2000, `${took} ms`);
  t.comment(`${took} ms`);
  await row('rs2').getByText('nothing listens on 192.0.2.100:80').waitFor();
  await page.locator('.alarms').getByText('start the server there').waitFor();
  await lab.shell('rs2', ['lighttpd', '-f', '/run/dsr-lab/lab/rs2/images.conf']);
  await row('rs2').getByText('in service', { exact: true }).waitFor();
  await until('its weight', async () => (await weights())['192.0.2.12'] === '100');
});

t.test('every control has a name, and the browser has nothing to complain of', async (t) => {
  t.strictSame(await namelessControls(page), []);
  t.strictSame(complaints, []);
});
