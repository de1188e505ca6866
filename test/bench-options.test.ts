import { join } from 'node:path';
import { execa } from 'execa';
import t from 'tap';

const main = join(import.meta.dirname, '../infra/bench/main.ts');
const bench = (words: string) =>
  execa(process.execPath, ['--import', 'tsx', main, ...words.split(' ')], { reject: false });

t.test('what a benchmark would leave undone is refused in words before it begins', async (t) => {
  const refused: Record<string, RegExp> = {
    'evenness --simulate --readme': /'--simulate' cannot be used with option '--readme'/,
    'evenness --simulate --rounds 2': /'--simulate' cannot be used with option '--rounds/,
    'evenness --simulate --quick': /'--simulate' cannot be used with option '--quick'/,
    'evenness --quick --readme': /'--quick' cannot be used with option '--readme'/,
    'evenness --quick --rounds 2': /'--quick' cannot be used with option '--rounds/,
    'evenness --simulate a': /'--simulate' runs all parts/,
    'evenness a f': /'f' is invalid.*Allowed choices are a, c, d, e, b/,
    'traffic url': /too many arguments/,
    'traffic --json /proc/none/result.json': /cannot be written: ENOENT/,
    none: /no benchmark 'none'/,
  };
  for (const [words, why] of Object.entries(refused)) {
    const { exitCode, stderr } = await bench(words);
    t.equal(exitCode, 2, words);
    t.match(stderr, why, words);
  }
});
