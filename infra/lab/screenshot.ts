// npm run screenshot: the dashboard's first screen, of the lab under load, as infra/lab/dashboard.png for the README.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import { standLab } from './standing.ts';

const lab = await standLab(['--mbit', '30', '--seconds', '2']);
const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args });
try {
  const load = lab.load(8);
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  await page.goto(lab.url);
  await page.getByText('bottleneck', { exact: true }).waitFor({ timeout: 60_000 });
  // Two minutes of history are on the first screen too: some of them are enough.
  await sleep(20_000);
  await page.screenshot({ path: join(import.meta.dirname, 'dashboard.png') });
  await load.end();
} finally {
  await browser.close();
  await lab.down();
}
