import { join } from 'node:path';
import type { Page } from 'playwright-core';
import t, { type Test } from 'tap';
import { openAudit } from '../../src/store/audit.ts';
import { openKeys } from '../../src/trust/open.ts';
import { folder } from '../api/site.ts';
import { cutOff, faintTexts, namelessControls, openBrowser, openEmpty, openPage } from './browser.ts';
import { startSite } from './site.ts';

const browser = await openBrowser(t);

/** A site that asks everybody for a token, and tokens of an administrator and of a viewer. */
async function startLocked(t: Test) {
  const dir = folder(t);
  const failed = (error: Error) => t.fail(error.message);
  const keys = await openKeys(dir, failed);
  const audit = openAudit({ path: join(dir, 'audit.log'), failed });
  const refused = openAudit({ path: join(dir, 'refused.log'), failed });
  const admin = await keys.make('admin', 'operator', null);
  const viewer = await keys.make('viewer', 'wall', null);
  const trust = { keys, audit, refused, isRoots: () => false };
  t.teardown(() => Promise.all([audit.stop(), refused.stop()]));
  const site = await startSite(t, 2, { dir, trust }, { authorization: `Bearer ${admin.token}` });
  return { ...site, keys, audit, admin, viewer };
}

/** What GET /v1/whoami answers to who may ask; null: the controller does not know of it. */
async function whoIs(page: Page, who: { role: 'admin' | 'viewer'; name: string } | null): Promise<void> {
  await page.route('**/v1/whoami', async (route) => {
    const answer = await route.fetch();
    if (answer.status() === 401) return route.fulfill({ response: answer });
    return who ? route.fulfill({ json: { kind: 'key', ...who } }) : route.fulfill({ status: 404, json: {} });
  });
}

/** Asks for a token, and does not say so to the controller again and again. */
const refusedOnly = (text: string) => !/status of 4(01|03|04)/.test(text);
const field = (page: Page) => page.getByLabel('Token', { exact: true });
const submit = (page: Page) => page.getByRole('button', { name: 'Sign in', exact: true });
const live = (page: Page) => page.getByText('live', { exact: true });

/** Where the token can be read on the page: its markup, its address, and what is kept beyond the tab. */
const onPage = (page: Page) =>
  page.evaluate<string>(
    `[document.documentElement.outerHTML, location.href, document.cookie, JSON.stringify(localStorage), JSON.stringify(history.state)].join()`,
  );

t.test('who has no token is asked for one, and shown nothing', async (t) => {
  const site = await startLocked(t);
  const { page, complaints } = await openEmpty(t, browser, { width: 360, height: 740, reducedMotion: true });
  await whoIs(page, null);
  await page.goto(site.url);
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  t.match(await page.title(), 'sign in');
  t.equal(await page.getByRole('alert').textContent(), '', 'nothing is wrong yet');
  t.strictSame(await namelessControls(page), []);
  t.strictSame(await page.evaluate(cutOff), []);
  t.strictSame(await page.evaluate(faintTexts), []);
  await page.getByText('dsrctl token create --role viewer --name NAME').waitFor();
  await page.getByText('/var/lib/dsr/admin-token').waitFor();
  t.equal(await page.evaluate('document.activeElement.id'), await field(page).getAttribute('id'), 'it has the focus');
  t.equal(await field(page).getAttribute('type'), 'password');
  const show = page.getByRole('button', { name: 'Show the token', pressed: false });
  await field(page).fill('dsr_wrong');
  await show.click();
  t.equal(await field(page).getAttribute('type'), 'text');
  t.equal(await field(page).inputValue(), 'dsr_wrong', 'it is still there');
  await page.getByRole('button', { name: 'Show the token', pressed: true }).click();

  await field(page).press('Enter');
  await page.getByRole('alert').getByText('this token is not known here').waitFor();
  t.equal(await field(page).getAttribute('aria-invalid'), 'true');
  await field(page).fill('zwei Wörter');
  await submit(page).click();
  await page.getByRole('alert').getByText('this is no token').waitFor();
  const refusals = site.audit.last(100).length;
  await page.waitForTimeout(2500);
  t.equal(site.audit.last(100).length, refusals, 'nothing is asked meanwhile');

  await field(page).fill(` ${site.admin.token}\n`);
  await submit(page).click();
  await live(page).waitFor();
  await page.getByRole('heading', { name: 'Pool web' }).waitFor();
  t.notMatch(await onPage(page), site.admin.token.slice(21));
  await page.reload();
  await live(page).waitFor();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await field(page).waitFor();
  t.equal(await page.getByText('rs1').count(), 0, 'nothing of the site stays');
  t.equal(await page.evaluate('sessionStorage.length'), 0);
  await page.reload();
  await field(page).waitFor();
  t.strictSame(complaints.filter(refusedOnly), []);
});

t.test("a link's token is taken over, and out of the address at once", async (t) => {
  const site = await startLocked(t);
  const { page, complaints } = await openEmpty(t, browser);
  await whoIs(page, { role: 'viewer', name: 'wall' });
  const asked: string[] = [];
  page.on('request', (request) => asked.push(request.url()));
  await page.goto(`${site.url}/#token=${site.viewer.token}`);
  await live(page).waitFor();
  t.equal(page.url(), `${site.url}/`);
  t.notMatch(await onPage(page), site.viewer.token.slice(21));
  t.notMatch(asked.slice(1).join(), site.viewer.token.slice(21));
  await page.goBack().catch(() => {});
  t.notMatch(page.url(), 'token');
  await page.goto(`${site.url}/`);
  await live(page).waitFor();
  await page.evaluate(`location.hash = '#token=${site.admin.token}'`);
  await live(page).waitFor();
  t.notMatch(page.url(), 'token');
  t.equal(await page.evaluate(`sessionStorage.getItem('dsr-token')`), site.admin.token);
  t.strictSame(complaints.filter(refusedOnly), []);
});

t.test('a viewer sees all and is offered no change; where that is not known, the refusal says why', async (t) => {
  const site = await startLocked(t);
  const { page, complaints } = await openEmpty(t, browser);
  await whoIs(page, { role: 'viewer', name: 'wall' });
  await page.goto(`${site.url}/#token=${site.viewer.token}`);
  await page.getByText('rs1 of web takes traffic').first().waitFor();
  await page.getByText('wall, who may look and change nothing').waitFor();
  t.strictSame(await page.getByRole('button', { name: /Drain|Maintenance|Edit|New/ }).allTextContents(), []);
  t.strictSame(await page.evaluate(faintTexts), []);

  const other = await openEmpty(t, browser);
  await whoIs(other.page, null);
  await other.page.goto(`${site.url}/#token=${site.viewer.token}`);
  await other.page.getByRole('button', { name: 'Drain rs1' }).click();
  const dialog = other.page.getByRole('dialog', { name: 'Drain rs1?' });
  await dialog.getByRole('button', { name: 'Drain rs1' }).click();
  await dialog.getByText("this token may only read, and this needs an administrator's token").waitFor();
  t.strictSame([...complaints, ...other.complaints].filter(refusedOnly), []);
});

t.test('a token that ends while the page is open: nothing looks live, nothing is lost', async (t) => {
  const site = await startLocked(t);
  const { page, complaints } = await openEmpty(t, browser);
  await whoIs(page, { role: 'admin', name: 'operator' });
  await page.goto(`${site.url}/#token=${site.admin.token}`);
  await page.getByRole('button', { name: 'Edit pool web' }).click();
  const editor = page.getByRole('dialog', { name: 'Edit pool web' });
  const area = editor.getByRole('textbox');
  await page.getByRole('dialog').getByText('Save').waitFor();
  while (!(await area.inputValue()).includes('"weight": 100')) await page.waitForTimeout(20);
  await area.fill((await area.inputValue()).replace('"weight": 100', '"weight": 42'));
  const second = await site.keys.make('admin', 'second', null);
  await site.keys.revoke(site.admin.id);
  await editor.getByRole('button', { name: 'Save pool web' }).click();
  const again = page.getByRole('dialog', { name: 'Sign in again' });
  await again.getByText('this token is not known here').waitFor();
  t.strictSame(await namelessControls(page), []);
  t.strictSame(await page.evaluate(faintTexts), []);
  t.equal(await live(page).count(), 0);
  t.strictSame(
    await page.evaluate(
      `[...document.querySelectorAll('.figure')].filter((e) => !e.textContent.startsWith('–')).map((e) => e.textContent)`,
    ),
    [],
    'no figure stays',
  );
  for (const key of ['Escape', 'Escape']) await page.keyboard.press(key);
  // The browser closes it at the second one, whatever the page says; then it comes again.
  await again.waitFor();
  await field(page).fill(second.token);
  await submit(page).click();
  await again.waitFor({ state: 'detached' });
  await live(page).waitFor();
  await editor.getByRole('button', { name: 'Save pool web' }).click();
  await editor.waitFor({ state: 'detached' });
  t.equal(site.controller.state.get().pools.web?.pool.realServers.rs1?.weight, 42);
  t.notMatch(await onPage(page), second.token.slice(21));
  t.strictSame(complaints.filter(refusedOnly), []);
});

t.test('a controller that trusts everybody asks nobody', async (t) => {
  const site = await startSite(t, 1);
  const { page } = await openPage(t, browser, site.url);
  await page.getByRole('button', { name: 'Drain rs1' }).waitFor();
  t.equal(await page.getByRole('button', { name: 'Sign out' }).count(), 0);
});
