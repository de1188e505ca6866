import type { AddressInfo } from 'node:net';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Page } from 'playwright-core';
import t from 'tap';
import { patienceMs, startController } from '../api/site.ts';
import { down, up } from '../health.ts';
import { cutOff, faintTexts, namelessControls, openBrowser, openPage } from './browser.ts';
import { connect, type Site, startSite } from './site.ts';

const browser = await openBrowser(t);

/** Waits until an expression in the page is true. (Playwright's own way is an eval, which the page's policy forbids.) */
async function until(page: Page, expression: string): Promise<void> {
  const end = performance.now() + patienceMs;
  while (!(await page.evaluate(expression))) {
    if (performance.now() > end) throw new Error(`never: ${expression}`);
    await sleep(50);
  }
}

const picture = (page: Page) => page.locator('.picture .hosts');
const row = (page: Page, name: string) => page.getByRole('row').filter({ has: page.getByRole('rowheader', { name }) });
const stateOf = (site: Site, name: string) => site.controller.state.get().pools.web?.pool.realServers[name]?.state;

function flow(site: Site, tx: readonly number[]): void {
  tx.forEach((rate, i) => {
    site.rates.set(`rs${i + 1}`, { rx: rate / 40, tx: rate });
  });
  const all = tx.reduce((a, b) => a + b, 0);
  Object.assign(site.director, { rx: all / 40, tx: all / 40 });
}

const partOf = (part: string) => (name: string) =>
  `document.querySelectorAll('.ribbon.reply .${part}')[${Number(name.slice(2)) - 1}]`;
const bedOf = partOf('bed');
const grainsOf = partOf('grains');

/** The browser says so of what the API refused, as it should. */
const notRefused = (text: string) => !/status of 4(00|12)/.test(text);

t.test('the picture shows what goes where, marks the bottleneck, and follows', async (t) => {
  const site = await startSite(t, 3);
  flow(site, [40, 96, 20]);
  const { page, complaints } = await openPage(t, browser, site.url);
  await picture(page).getByText('96.0 Mbit/s', { exact: true }).waitFor();
  await picture(page).getByText('40.0 Mbit/s', { exact: true }).waitFor();
  await picture(page).getByText('2.40 Mbit/s', { exact: true }).waitFor();
  await picture(page).getByText('156 Mbit/s of replies', { exact: false }).waitFor();
  await picture(page).getByText('bottleneck', { exact: true }).waitFor();
  await page.getByText('its card is 96 % full, sending', { exact: true }).waitFor();
  await page.getByText('its card is full, sending: give it less weight').waitFor();
  await until(page, `/^[34]\\.\\d\\d Mbit/.test(document.querySelector('.labels text').textContent)`);
  const width = () => page.evaluate<number>(`Number(${bedOf('rs1')}.getAttribute('stroke-width'))`);
  const before = await width();
  const moves = async (name: string) => {
    const at = () => page.evaluate(`${grainsOf(name)}.style.strokeDashoffset`);
    const first = await at();
    await sleep(300);
    return (await at()) !== first;
  };
  t.ok(await moves('rs1'), 'it flows');
  flow(site, [80, 5, 0]);
  await picture(page).getByText('80.0 Mbit/s', { exact: true }).waitFor();
  t.ok((await width()) > before * 1.5, 'more flow is a wider line');
  await picture(page).getByText('fullest card', { exact: true }).waitFor();
  t.equal(await page.locator('.alarms li').count(), 0, 'nothing needs attention now');
  t.notOk(await moves('rs3'), 'what does not flow stands still');
  t.strictSame(complaints, []);
});

t.test('the pool says how full it is, which card is full first, and what a failure leaves', async (t) => {
  const site = await startSite(t, 3);
  flow(site, [40, 90, 20]);
  const { page, complaints } = await openPage(t, browser, site.url);
  const pool = page.getByRole('region', { name: 'Pool web' });
  await pool.getByText('150 of', { exact: false }).waitFor();
  await pool.getByText('its card is 90 % full', { exact: true }).waitFor();
  await pool.getByText('when it will be full is not known yet: 0 of 14 days seen', { exact: true }).waitFor();
  await pool.getByText('If rs', { exact: false }).waitFor();
  t.equal(await pool.locator('.capacity .alarm dt').first().textContent(), 'How full the pool is');
  flow(site, [10, 10, 10]);
  await pool.getByText('30.0 of', { exact: false }).waitFor();
  await until(page, `document.querySelector('.capacity .alarm') === null`);
  t.strictSame(complaints, []);
});

t.test('a real server is drained and returned by keyboard alone, and the page says how it goes', async (t) => {
  const site = await startSite(t, 3);
  const { page, complaints } = await openPage(t, browser, site.url);
  await page.getByText('rs3 of web takes traffic').first().waitFor();
  connect(site, 'rs1', 14);
  await row(page, 'rs1').getByText('14', { exact: true }).waitFor();
  const focused = () => page.evaluate<string>(`document.activeElement.textContent`);
  const tabTo = async (name: string) => {
    for (let i = 0; i < 40 && (await focused()) !== name; i++) await page.keyboard.press('Tab');
    t.equal(await focused(), name, `${name} is reached with the tabulator`);
  };
  await tabTo('Drain rs1');
  await page.keyboard.press('Enter');
  const dialog = page.getByRole('dialog', { name: 'Drain rs1?' });
  await dialog.getByText('its 14 connections may end by themselves').waitFor();
  t.strictSame(await namelessControls(page), []);
  await page.keyboard.press('Escape');
  // A closed dialog has no role any more, yet the page has still to hear of it.
  await until(page, `document.querySelector('dialog') === null`);
  t.equal(await focused(), 'Drain rs1', 'the focus comes back');
  t.equal(stateOf(site, 'rs1'), 'active', 'nothing was done');
  await page.keyboard.press('Enter');
  await dialog.waitFor();
  const inDialog = `document.querySelector('dialog').contains(document.activeElement)`;
  for (let i = 0; i < 8 && (await focused()) !== 'Drain rs1'; i++) {
    await page.keyboard.press('Tab');
    // Beyond its last control the focus is on the browser itself.
    t.ok(await page.evaluate(`${inDialog} || document.activeElement === document.body`), 'the focus stays inside');
  }
  await page.keyboard.press('Enter');
  await dialog.waitFor({ state: 'detached' });
  t.equal(stateOf(site, 'rs1'), 'drain');
  await row(page, 'rs1').getByText('draining', { exact: true }).waitFor();
  await row(page, 'rs1').getByText('14 connections left', { exact: false }).waitFor();
  connect(site, 'rs1', 0);
  await row(page, 'rs1').getByText('drained', { exact: true }).waitFor();
  await tabTo('Return rs1');
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').getByRole('button', { name: 'Return rs1' }).press('Enter');
  await row(page, 'rs1').getByText('in service', { exact: true }).waitFor();
  t.equal(stateOf(site, 'rs1'), 'active');
  await page.getByRole('list').getByText('PATCH /v1/pools/web/real-servers/rs1').first().waitFor();
  connect(site, 'rs2', 3);
  await row(page, 'rs2').getByText('3', { exact: true }).waitFor();
  await site.controller.call('DELETE', '/v1/pools/web/real-servers/rs2');
  const leaving = page.getByRole('list', { name: 'Leaving the pool' });
  await leaving.getByText('3 connections left', { exact: false }).waitFor();
  t.equal(await row(page, 'rs2').count(), 0);
  t.strictSame(complaints, []);
});

t.test('a pool is edited: its mistakes are named, its steps are shown, nobody is overwritten', async (t) => {
  const site = await startSite(t, 2);
  const { page, complaints } = await openPage(t, browser, site.url);
  const open = async () => {
    await page.getByRole('button', { name: 'Edit pool web' }).click();
    await until(page, `document.querySelector('textarea')?.value.includes('192.0.2.100')`);
    return page.getByRole('dialog', { name: 'Edit pool web' });
  };
  const dialog = await open();
  const area = dialog.getByRole('textbox', { name: 'Pool web as JSON' });
  const text = await area.inputValue();
  const preview = dialog.getByRole('button', { name: 'Preview the steps' });
  await area.fill('{');
  await preview.click();
  await dialog.getByText('this is no JSON').waitFor();
  await area.fill(text.replace('"weight": 100', '"weight": 70000'));
  await preview.click();
  await dialog.getByText('weight is at most 65535').waitFor();
  await dialog.getByRole('button', { name: /^realServers\.rs1\.weight, line \d+$/ }).click();
  const selected = `(({ value, selectionStart, selectionEnd }) => value.slice(selectionStart, selectionEnd))(document.querySelector('textarea'))`;
  t.equal(await page.evaluate(selected), '"weight": 70000', 'the mistake is selected');
  t.strictSame(await namelessControls(page), []);
  await area.fill(text.replace('"weight": 100', '"weight": 30'));
  await preview.click();
  await dialog.getByText('ipvsadm -e -t 192.0.2.100:80 -r 192.0.2.11:80 -g -w 30').waitFor();
  const put = { ...JSON.parse(text), slowStartMs: 1 };
  t.equal((await site.controller.call('PUT', '/v1/pools/web', put)).status, 200);
  await dialog.getByRole('button', { name: 'Save pool web' }).click();
  await dialog.getByText('Somebody else changed this pool').waitFor();
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  t.equal(site.controller.state.get().pools.web?.pool.realServers.rs1?.weight, 100);
  const again = await open();
  const newer = await area.inputValue();
  t.match(newer, '"slowStartMs": 1');
  await area.fill(newer.replace('"weight": 100', '"weight": 30'));
  await again.getByRole('button', { name: 'Save pool web' }).click();
  await again.waitFor({ state: 'detached' });
  t.equal(site.controller.state.get().pools.web?.pool.realServers.rs1?.weight, 30);
  t.strictSame(complaints.filter(notRefused), []);
});

t.test('a real server that fails is red with its reason, and calm when it is back', async (t) => {
  const site = await startSite(t, 3);
  const { page, complaints } = await openPage(t, browser, site.url);
  await row(page, 'rs2').getByText('in service', { exact: true }).waitFor();
  const began = performance.now();
  site.controller.health.judge = ({ address }) =>
    address === '192.0.2.12' ? { ...down, words: 'GET /healthz through the VIP: no answer within 500 ms' } : up;
  site.controller.director.wake();
  await row(page, 'rs2').getByText('out of service', { exact: true }).waitFor();
  const took = performance.now() - began;
  t.comment(`shown after ${Math.round(took)} ms`);
  // The stream tells each second.
  t.ok(took < 20_000);
  await page.getByRole('region', { name: 'Needs attention' }).getByText('no answer within 500 ms').waitFor();
  await picture(page).getByText('out of service', { exact: true }).waitFor();
  t.match(await page.title(), /^1 alarm/);
  t.strictSame(await page.evaluate(faintTexts), []);
  site.controller.health.judge = () => up;
  site.controller.director.wake();
  await row(page, 'rs2').getByText('in service', { exact: true }).waitFor();
  t.equal(await page.locator('.alarms li').count(), 0);
  t.strictSame(complaints, []);
});

t.test('when the controller is gone nothing looks live, and it is live again when it is back', async (t) => {
  const site = await startSite(t, 2);
  flow(site, [40, 30]);
  const { page, complaints } = await openPage(t, browser, site.url);
  await picture(page).getByText('40.0 Mbit/s', { exact: true }).waitFor();
  t.strictSame(complaints, []);
  const { port } = site.controller.api.server.address() as AddressInfo;
  await site.controller.stop();
  await page.getByRole('heading', { name: /last seen \d+ s ago/ }).waitFor();
  await page.getByText('The controller is not heard of.').waitFor();
  t.strictSame(
    await page.evaluate(
      `[...document.querySelectorAll('.figure')].filter((e) => !e.textContent.startsWith('–')).map((e) => e.textContent)`,
    ),
    [],
    'no figure stays',
  );
  t.notMatch(await picture(page).textContent(), /\d(\.\d+)? Mbit\/s of|\d %|40\.0/);
  t.equal(await page.evaluate(`document.querySelectorAll('.ribbon:not(.still)').length`), 0, 'nothing flows');
  t.ok(await page.getByRole('button', { name: 'Drain rs1' }).isDisabled());
  t.match(await page.title(), /^not heard of/);
  const next = await startController(t);
  await next.call('PUT', '/v1/pools/mail', { vip: '192.0.2.101', ports: { '25/tcp': { policy: 'real-servers' } } });
  await next.api.listen({ host: '127.0.0.1', port });
  await page.getByText('live', { exact: true }).waitFor();
  await page.getByRole('heading', { name: 'Pool mail' }).waitFor();
  t.equal(await page.getByText('The controller is not heard of.').count(), 0);
});

t.test('on a phone, in the dark, without motion, and before there is a pool', async (t) => {
  const site = await startSite(t, 12);
  flow(
    site,
    Array.from({ length: 12 }, (_, i) => i * 8),
  );
  site.controller.health.judge = ({ address }) => (address === '192.0.2.12' ? down : up);
  for (const scheme of ['light', 'dark'] as const) {
    const { page, complaints } = await openPage(t, browser, site.url, {
      width: 360,
      height: 740,
      scheme,
      reducedMotion: true,
    });
    await picture(page).getByText('in 2.20 · out 88.0 Mbit/s').waitFor();
    t.equal(await page.evaluate('document.scrollingElement.scrollWidth'), 360, `${scheme}: no scrolling to the side`);
    t.strictSame(await page.evaluate(cutOff), [], `${scheme}: nothing is cut off`);
    t.strictSame(await page.evaluate(faintTexts), [], `${scheme}: all text has contrast`);
    t.strictSame(await namelessControls(page), []);
    t.equal(
      await page.evaluate(
        `[...document.querySelectorAll('.grains')].filter((e) => e.style.strokeDashoffset).length + document.getAnimations().length`,
      ),
      0,
      'nothing moves',
    );
    await page.getByRole('button', { name: 'Edit pool web' }).click();
    await page.getByRole('dialog').getByRole('textbox').waitFor();
    t.equal(await page.evaluate('document.scrollingElement.scrollWidth'), 360);
    t.strictSame(complaints, []);
  }
});

t.test('the first pool is made on the page; one that exists is not overwritten by a new one', async (t) => {
  const site = await startSite(t, 0);
  const { page, complaints } = await openPage(t, browser, site.url, { width: 360 });
  await page.getByRole('button', { name: 'New pool' }).click();
  const dialog = page.getByRole('dialog', { name: 'New pool' });
  const save = dialog.getByRole('button', { name: /^Save pool/ });
  t.ok(await save.isDisabled(), 'it has no name yet');
  t.strictSame(await namelessControls(page), []);
  t.equal(await page.evaluate('document.scrollingElement.scrollWidth'), 360);
  await dialog.getByRole('textbox', { name: 'Name' }).fill('Web!');
  await save.click();
  await dialog.getByRole('alert').getByText('pool', { exact: false }).first().waitFor();
  await dialog.getByRole('textbox', { name: 'Name' }).fill('web');
  await dialog.getByRole('button', { name: 'Preview the steps' }).click();
  await dialog.getByText('ipvsadm -A -t 192.0.2.100:80', { exact: false }).waitFor();
  await save.click();
  await page.getByRole('heading', { name: 'Pool web' }).waitFor();
  t.strictSame(Object.keys(site.controller.state.get().pools.web?.pool.realServers ?? {}), ['rs1', 'rs2']);
  await page.getByRole('button', { name: 'New pool' }).click();
  await dialog.getByRole('textbox', { name: 'Name' }).fill('web');
  await save.click();
  await dialog.getByText('There is a pool of this name already').waitFor();
  t.equal(site.controller.state.get().pools.web?.revision, 1);
  t.strictSame(complaints.filter(notRefused), []);
});

t.test('what the doctor found is told with its remedy, the worst first', async (t) => {
  const site = await startSite(t, 1);
  const { page } = await openPage(t, browser, site.url);
  await page.getByRole('heading', { name: 'Pool web' }).waitFor();
  t.equal(await page.getByRole('heading', { name: 'Doctor' }).count(), 0, 'nothing was looked at');
  const finding = { host: 'rs1', what: 'replies are dropped', why: 'rp_filter is 1', fix: ['sysctl -w a=0'] };
  const findings = (['ok', 'warning', 'problem'] as const).map((level) => ({
    ...finding,
    check: `check-${level}`,
    level,
  }));
  await page.route('**/v1/doctor', (route) => route.fulfill({ json: { findings } }));
  await page.reload();
  const doctor = page.getByRole('region', { name: 'Doctor' });
  const items = doctor.getByRole('listitem');
  await items.first().getByText('sysctl -w a=0').waitFor();
  t.match(await items.allTextContents(), [/^Problem on rs1: replies are dropped/, /^Warning on rs1/]);
});

t.test('200 real servers: every one is there, and the page stays quick', async (t) => {
  const site = await startSite(t, 200);
  flow(
    site,
    Array.from({ length: 200 }, (_, i) => i / 4),
  );
  const { page, complaints } = await openPage(t, browser, site.url, { width: 1440 });
  await until(page, `document.querySelectorAll('.tile').length === 200`);
  await page.evaluate(`{
    window.longTasks = [];
    new PerformanceObserver((list) => longTasks.push(...list.getEntries().map((e) => e.duration))).observe({ type: 'longtask' });
    window.frames = [];
    let last = performance.now();
    const frame = (now) => { frames.push(now - last); last = now; requestAnimationFrame(frame); };
    requestAnimationFrame(frame);
  }`);
  flow(
    site,
    Array.from({ length: 200 }, (_, i) => 50 - i / 4),
  );
  await sleep(3500);
  const { tasks, frames } = await page.evaluate<{ tasks: number[]; frames: number[] }>(
    '({ tasks: longTasks, frames })',
  );
  const sorted = [...frames].sort((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)] ?? 0;
  const longest = Math.max(0, ...tasks);
  t.comment(
    `longest task ${Math.round(longest)} ms of ${tasks.length} long ones, median frame ${median.toFixed(1)} ms, longest ${Math.round(sorted.at(-1) ?? 0)} ms`,
  );
  // What an empty page does on this machine at this time is no fault of ours.
  const empty = await (await browser.newPage()).evaluate<number[]>(`new Promise((resolve) => {
    const gaps = [];
    let last = performance.now();
    const frame = (now) => { gaps.push(now - last); last = now; gaps.length < 60 ? requestAnimationFrame(frame) : resolve(gaps); };
    requestAnimationFrame(frame);
  })`);
  empty.sort((a, b) => a - b);
  const [usual, worst] = [empty[30] ?? 0, empty.at(-1) ?? 0];
  t.ok(longest < 1000 + 2 * worst, `longest task ${longest}, longest frame of an empty page ${worst}`);
  t.ok(median < Math.max(100, 4 * usual), `median frame ${median}, of an empty page ${usual}`);
  t.equal(await page.getByRole('row').count(), 201);
  t.strictSame(complaints, []);
});
