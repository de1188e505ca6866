import { readFileSync } from 'node:fs';
import { release } from 'node:os';

/** Names of the modules that this kernel has loaded, built in, or can load (modules.dep(5), modules.builtin). */
export function availableModules(root = ''): Set<string> {
  const folder = `${root}/lib/modules/${release()}`;
  const lines = (path: string) => {
    try {
      return readFileSync(path, 'utf8').split('\n').filter(Boolean);
    } catch {
      return [];
    }
  };
  const ofPath = (path: string) => (path.split('/').at(-1) ?? '').replace(/\.ko.*$/, '').replaceAll('-', '_');
  return new Set([
    ...lines(`${root}/proc/modules`).map((line) => line.split(' ')[0] ?? ''),
    ...lines(`${folder}/modules.builtin`).map(ofPath),
    ...lines(`${folder}/modules.dep`).map((line) => ofPath(line.split(':')[0] ?? '')),
  ]);
}

/** Two to this is the size of the table of IPVS connections; undefined where the kernel does not tell. */
export function connectionTableBits(root = ''): number | undefined {
  try {
    const bits = Number(readFileSync(`${root}/sys/module/ip_vs/parameters/conn_tab_bits`, 'utf8').trim());
    return Number.isInteger(bits) && bits > 0 ? bits : undefined;
  } catch {
    return undefined;
  }
}
