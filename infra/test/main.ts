// Runs every check of the project and counts: `npm test`, `npm test -- --long`, `npm test -- PART-OF-A-FILE-NAME...`.
// Ends with the line "N passed, N failed", counted from what the test files wrote.
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { checks, covered, inGuest, onThisMachine, type Settings } from './jobs.ts';
import { type Count, sum } from './tap.ts';
import { compiled } from './typescript-hooks.js';

const root = join(import.meta.dirname, '../..');
const long = process.argv.includes('--long');
const only = process.argv.slice(2).filter((word) => !word.startsWith('-'));
const settings: Settings = {
  root,
  results: join(root, '.lab/test'),
  env: long ? { LONG: '1', FC_TIMES: process.env.FC_TIMES ?? '10' } : {},
};

rmSync(settings.results, { recursive: true, force: true });
mkdirSync(settings.results, { recursive: true });
mkdirSync(join(root, '.tap'), { recursive: true });

const typescript = ['src', 'agents', 'test', 'infra'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))
    .map((file) => join(folder, file)),
);
for (const file of typescript) await compiled(join(root, file));

const files = typescript
  .filter((file) => file.endsWith('.test.ts'))
  .filter((file) => only.length === 0 || only.some((word) => file.includes(word)))
  .sort();
const onKernel = files.filter((file) => file.endsWith('.lab.test.ts') || (long && file.endsWith('.long.test.ts')));
const anywhere = files.filter((file) => !/\.(lab|long)\.test\.ts$/.test(file));
/** src/core must be covered wholly by its tests: they run together. */
const core = only.length === 0 ? anywhere.filter((file) => /^test\/(core|scenarios)\//.test(file)) : [];
/** Those that take longest begin first, so that none is waited for at the end. */
const slow = /\/(package|lab\.browser|dashboard\.browser|agent)\.test\.ts$/;
const others = anywhere.filter((file) => !core.includes(file));
// A guest for each file of the whole system and of the checks, and one for the other parts.
const wholeSystem = onKernel.filter((file) => /^test\/(lab|check)\//.test(file));
const parts = onKernel.filter((file) => !wholeSystem.includes(file));

interface Job {
  group: string;
  run: () => Promise<Count>;
}
const unit = 'unit and property tests';
const alone = (file: string): Job => ({ group: unit, run: () => onThisMachine(settings, file) });
const jobs: Job[] = [
  ...(only.length === 0 ? checks(settings) : []),
  ...others.filter((file) => slow.test(file)).map(alone),
  ...(parts.length > 0 ? [{ group: 'parts on a real kernel', run: () => inGuest(settings, parts) }] : []),
  ...wholeSystem.map((file) => ({ group: 'whole system on a real kernel', run: () => inGuest(settings, [file]) })),
  ...(core.length > 0 ? [{ group: unit, run: () => covered(settings, core) }] : []),
  ...others.filter((file) => !slow.test(file)).map(alone),
];

// As many beside each other as there are processors: a guest uses one.
const groups = new Map(jobs.map(({ group }) => [group, [] as Count[]]));
const worker = async () => {
  for (let job = jobs.shift(); job; job = jobs.shift()) groups.get(job.group)?.push(await job.run());
};
await Promise.all(Array.from({ length: Math.min(4, availableParallelism()) }, worker));

const total = sum([...groups.values()].flat());
for (const file of total.notRun ?? []) console.log(`  NOT RUN ${file}`);
for (const failure of total.failures ?? []) console.log(`  FAILED ${failure}`);
for (const [group, counts] of groups) {
  const { passed, failed } = sum(counts);
  console.log(`${failed === 0 ? 'ok    ' : 'FAILED'} ${group}: ${passed} passed, ${failed} failed`);
}
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed === 0 && total.passed > 0 ? 0 : 1;
