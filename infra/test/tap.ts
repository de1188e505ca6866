export interface Count {
  passed: number;
  failed: number;
  /** A line for each failure, to be told once more at the end. */
  failures?: string[];
  /** Files that this machine cannot run, and why; told once more at the end. */
  notRun?: string[];
}

export const sum = (counts: readonly Count[]): Count => ({
  passed: counts.reduce((all, { passed }) => all + passed, 0),
  failed: counts.reduce((all, { failed }) => all + failed, 0),
  failures: counts.flatMap(({ failures = [] }) => failures),
  notRun: counts.flatMap(({ notRun = [] }) => notRun),
});

/**
 * tap's own closing line: `# { total: 12, pass: 11, fail: 1 }`. Output without it, or of a run that ended badly without a
 * failed test, counts as a failure more: what was lost is no success.
 */
export function countOf(text: string, code: number): Count {
  const line = [...text.matchAll(/^# \{ total: \d+(.*) \}$/gm)].at(-1)?.[1];
  const number = (word: string) => Number(new RegExp(`${word}: (\\d+)`).exec(line ?? '')?.[1] ?? 0);
  const failed = number('fail') + number('todo');
  return { passed: number('pass'), failed: failed === 0 && (code !== 0 || line === undefined) ? 1 : failed };
}

/** Each failed assertion with its diagnostics, a YAML block after it. */
export function failuresOf(text: string): string[] {
  let inside = false;
  return text.split('\n').filter((line) => {
    if (/^\s*(not )?ok /.test(line)) inside = /^\s*not ok /.test(line) && !/# (TODO|SKIP)\b/.test(line);
    return inside;
  });
}

/** What failed, without the rest: one line each, of at most 200 characters. */
export const failureLines = (failures: readonly string[]): string[] =>
  failures.flatMap((line) => /^\s*not ok \d+ - (.{1,200})/.exec(line)?.[1] ?? []);
