import { execa } from 'execa';

/** Versions of programs, by what they print when they are asked for it. */
export async function versionsOf(programs: readonly string[]): Promise<Record<string, string>> {
  const entries = programs.map(async (program) => {
    const { all } = await execa(program, [program === 'haproxy' ? '-v' : '--version'], { all: true, reject: false });
    const [, version] = /v(?:ersion )?(\d+\.[\w.-]*\w)/.exec(all) ?? [];
    if (!version) throw new Error(`${program} does not say its version:\n${all}`);
    return [program, version] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}
