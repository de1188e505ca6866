/** Where a value stands in a text. */
export interface Range {
  from: number;
  to: number;
}

/**
 * Finds the value at a dotted path in a JSON text, or the innermost one on the way to it; undefined when the text is no
 * JSON up to there.
 */
export function rangeOf(text: string, path: string): Range | undefined {
  const scan = { text, at: 0 };
  try {
    return valueAt(scan, path);
  } catch {
    return undefined;
  }
}

interface Scan {
  text: string;
  at: number;
}

/** Reads one value and answers where the path leads inside it; itself when the path ends or leads nowhere. */
function valueAt(scan: Scan, path: string | undefined): Range {
  blank(scan);
  const from = scan.at;
  const inside =
    scan.text[from] === '{' ? members(scan, path) : scan.text[from] === '[' ? items(scan, path) : scalar(scan);
  return inside ?? { from, to: scan.at };
}

function members(scan: Scan, path: string | undefined): Range | undefined {
  let found: Range | undefined;
  scan.at++;
  for (blank(scan); scan.text[scan.at] !== '}'; blank(scan)) {
    const keyFrom = scan.at;
    const key = JSON.parse(string(scan)) as string;
    const keyTo = scan.at;
    blank(scan);
    take(scan, ':');
    const rest = below(path, key);
    const range = valueAt(scan, rest);
    // A field that does not belong there is marked by its name too.
    if (rest !== undefined) found = rest === '' ? { from: keyFrom, to: range.to } : range;
    if (rest !== undefined && rest !== '' && range.from >= scan.text.length) found = { from: keyFrom, to: keyTo };
    blank(scan);
    if (scan.text[scan.at] === ',') scan.at++;
    else if (scan.text[scan.at] !== '}') throw new Error('no JSON');
  }
  scan.at++;
  return found;
}

function items(scan: Scan, path: string | undefined): Range | undefined {
  let found: Range | undefined;
  scan.at++;
  let i = 0;
  for (blank(scan); scan.text[scan.at] !== ']'; blank(scan)) {
    const rest = below(path, String(i++));
    const range = valueAt(scan, rest);
    if (rest !== undefined) found = range;
    blank(scan);
    if (scan.text[scan.at] === ',') scan.at++;
    else if (scan.text[scan.at] !== ']') throw new Error('no JSON');
  }
  scan.at++;
  return found;
}

/** What is left of a path below a key; undefined when it does not lead there. Keys may have dots themselves. */
function below(path: string | undefined, key: string): string | undefined {
  if (path === undefined || path === '') return undefined;
  if (path === key) return '';
  return path.startsWith(`${key}.`) ? path.slice(key.length + 1) : undefined;
}

function scalar(scan: Scan): undefined {
  if (scan.text[scan.at] === '"') string(scan);
  else {
    const [word = ''] = /^[-+\w.]+/.exec(scan.text.slice(scan.at, scan.at + 40)) ?? [];
    if (word === '') throw new Error('no JSON');
    scan.at += word.length;
  }
}

function string(scan: Scan): string {
  const from = scan.at;
  take(scan, '"');
  while (scan.text[scan.at] !== '"') {
    if (scan.at >= scan.text.length) throw new Error('no JSON');
    scan.at += scan.text[scan.at] === '\\' ? 2 : 1;
  }
  scan.at++;
  return scan.text.slice(from, scan.at);
}

function take(scan: Scan, letter: string): void {
  if (scan.text[scan.at] !== letter) throw new Error('no JSON');
  scan.at++;
}

function blank(scan: Scan): void {
  while (/\s/.test(scan.text[scan.at] ?? '')) scan.at++;
}

/** Line of a place in a text, from 1. */
export const lineOf = (text: string, at: number): number => text.slice(0, at).split('\n').length;
