import { execa } from 'execa';

const shortFlag = ['haproxy', 'lighttpd', 'nginx'];

/** Versions of programs, by what they print when they are asked for it. */
export async function versionsOf(programs: readonly string[]): Promise<Record<string, string>> {
  const entries = programs.map(async (program) => {
    const flag = shortFlag.includes(program) ? '-v' : '--version';
    const { all } = await execa(program, [flag], { all: true, reject: false });
    const [, version] = /(?:v|version |\/)(\d+\.[\w.-]*\w)/.exec(all) ?? [];
    if (!version) throw new Error(`${program} does not say its version:\n${all}`);
    return [program, version] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}
