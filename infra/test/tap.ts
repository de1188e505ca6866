import { existsSync, readFileSync } from 'node:fs';

export interface Count {
  passed: number;
  failed: number;
}

/** Prints each test file of a growing TAP file as it ends, with what failed in it. Answers how to stop. */
export function followTap(path: string): () => void {
  let seen = 0;
  const look = () => {
    if (!existsSync(path)) return;
    const whole = readFileSync(path, 'utf8');
    const end = whole.lastIndexOf('\n') + 1;
    const blocks = blocksOf(whole.slice(seen, end));
    for (const block of blocks) print(block);
    seen += lengthOf(blocks);
  };
  const timer = setInterval(look, 1000);
  return () => {
    clearInterval(timer);
    look();
  };
}

const closing = /^(not )?ok \d+ - (.*)$/;

/** Whole blocks: everything up to and with the closing line of a test file. */
function blocksOf(text: string): string[][] {
  const blocks: string[][] = [];
  let block: string[] = [];
  for (const line of text.split('\n')) {
    block.push(line);
    if (!closing.test(line)) continue;
    blocks.push(block);
    block = [];
  }
  return blocks;
}

const lengthOf = (blocks: readonly string[][]): number => blocks.flat().reduce((sum, line) => sum + line.length + 1, 0);

function print(block: readonly string[]): void {
  const [, failed, name] = closing.exec(block.at(-1) ?? '') ?? [];
  if (!failed) {
    const words = name?.replace(/ # time=(\d+).*/, (_, ms: string) => ` (${Math.ceil(Number(ms) / 1000)} s)`);
    console.log(`  ok ${words}`);
    return;
  }
  console.log(`  FAILED ${name}`);
  // Each failed assertion with its diagnostics (a YAML block after it), and what the test file printed besides.
  let inside = false;
  for (const line of block) {
    if (/^\s+(not )?ok /.test(line)) inside = /^\s+not ok /.test(line);
    if (inside) console.log(`  ${line}`);
  }
}

/** tap's own closing line: `# { total: 12, pass: 11, fail: 1 }`. A run that ended badly without a failed test counts as one. */
export function countOf(path: string, code: number): Count {
  const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
  const line = /^# \{ total: \d+(.*) \}$/m.exec(text.slice(text.lastIndexOf('\n# { total')))?.[1] ?? '';
  const number = (word: string) => Number(new RegExp(`${word}: (\\d+)`).exec(line)?.[1] ?? 0);
  const failed = number('fail') + number('todo');
  return { passed: number('pass'), failed: failed === 0 && code !== 0 ? 1 : failed };
}
