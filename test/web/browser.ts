import { type Browser, chromium, type Page } from 'playwright-core';
import type { Test } from 'tap';

/** Debian's own browser; nothing is downloaded. */
const executablePath = '/usr/bin/chromium';

export async function openBrowser(t: Test): Promise<Browser> {
  // Its sandbox does not run as root.
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  const browser = await chromium.launch({ executablePath, args });
  t.teardown(() => browser.close());
  return browser;
}

export interface View {
  width?: number;
  height?: number;
  scheme?: 'light' | 'dark';
  reducedMotion?: boolean;
}

/** A page as somebody sees it, and what the browser's console says that is not well. */
export interface Opened {
  page: Page;
  complaints: string[];
}

/** Opens the dashboard, and waits until it is live. */
export async function openPage(t: Test, browser: Browser, url: string, view: View = {}): Promise<Opened> {
  const opened = await openEmpty(t, browser, view);
  await opened.page.goto(url);
  await opened.page.getByText('live', { exact: true }).waitFor();
  return opened;
}

/** A page that shows nothing yet. */
export async function openEmpty(t: Test, browser: Browser, view: View = {}): Promise<Opened> {
  const context = await browser.newContext({
    viewport: { width: view.width ?? 1280, height: view.height ?? 900 },
    colorScheme: view.scheme ?? 'light',
    reducedMotion: view.reducedMotion ? 'reduce' : 'no-preference',
  });
  t.teardown(() => context.close());
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(`${message.text()} ${message.location().url}`);
  });
  return { page, complaints };
}

/** Everything that can be used and has no name for somebody who does not see it, by role. */
export async function namelessControls(page: Page): Promise<string[]> {
  const session = await page.context().newCDPSession(page);
  const { nodes } = await session.send('Accessibility.getFullAXTree');
  const roles = [
    'button',
    'link',
    'combobox',
    'textbox',
    'checkbox',
    'dialog',
    'progressbar',
    'table',
    'image',
    'navigation',
  ];
  return nodes
    .filter(({ ignored, role, name }) => !ignored && roles.includes(role?.value) && !name?.value)
    .map(({ role, nodeId }) => `${role?.value} ${nodeId}`);
}

/** Text whose contrast is below 4.5:1 (WCAG 2.2, 1.4.3), or 3:1 when it is large. Runs in the page. */
export const faintTexts = `(() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (text) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => {
    const of = (v) => ((v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * of(r) + 0.7152 * of(g) + 0.0722 * of(b);
  };
  const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const box = at.closest('svg') && at.parentElement?.querySelector(':scope > .box');
      const fill = box && rgba(getComputedStyle(box).fill);
      if (fill && fill[3] === 255) return fill;
      const color = rgba(getComputedStyle(at).backgroundColor);
      if (color[3] === 255) return color;
    }
    return [255, 255, 255, 255];
  };
  const faint = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || element.closest('.unseen, .flag, noscript, title, script, :disabled, option')) continue;
    const style = getComputedStyle(element);
    const own = rgba(element.closest('svg') ? style.fill : style.color);
    const size = Number.parseFloat(style.fontSize);
    const least = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    const found = ratio(own, behind(element));
    if (found < least) faint.add(node.data.trim().slice(0, 40) + ' ' + found.toFixed(2));
  }
  return [...faint];
})()`;

/** What is cut off or sticks out at the side, but for boxes that scroll by themselves. Runs in the page. */
export const cutOff = `[...document.querySelectorAll('body *')].filter((element) => {
  if (element.closest('pre, textarea, .unseen, title, option, noscript')) return false;
  const { left, right, width } = element.getBoundingClientRect();
  const clip = element.closest('section')?.getBoundingClientRect() ?? { left: 0, right: innerWidth };
  return width > 0 && (left < clip.left - 1 || right > clip.right + 1);
}).map((element) => element.tagName + '.' + element.getAttribute('class') + ' ' + element.textContent.slice(0, 40))`;
