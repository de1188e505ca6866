import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { commandOf } from '../../src/core/steps.ts';
import { parseCommand } from './command.ts';
import { parseScenario, play } from './run.ts';

const folder = import.meta.dirname;

for (const file of readdirSync(folder).filter((name) => name.endsWith('.txt'))) {
  const scenario = parseScenario(readFileSync(join(folder, file), 'utf8'));
  t.test(`${file}: ${scenario.title}`, async (t) => {
    const told = [
      scenario.title,
      ...scenario.sections.flatMap(({ kind, rest, lines }) => [`== ${kind}${rest && ` ${rest}`}`, ...lines]),
    ];
    t.strictSame(play(scenario), told);
    const steps = scenario.sections.filter(({ kind }) => kind === 'steps' || kind === 'teardown');
    t.ok(
      steps.some(({ lines }) => lines.length > 0),
      'it expects something',
    );
    for (const line of steps.flatMap(({ lines }) => lines)) t.equal(commandOf(parseCommand(line)), line);
  });
}
