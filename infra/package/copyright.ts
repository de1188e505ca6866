import type { Module } from './modules.ts';

/** debian/copyright in the machine-readable format (DEP-5): one paragraph for all packages with the same licence text. */
export function copyrightOf(modules: readonly Module[], own: string, folder: string): string {
  const [ownText, ownHolders] = parts(own);
  const groups = new Map<string, { license: string; text: string; paths: string[]; holders: Set<string> }>();
  for (const module of modules) {
    const [text, holders] = textOf(module, ownText);
    const key = `${module.license}\n${text.replace(/\s+/g, ' ')}`;
    const group = groups.get(key) ?? { license: module.license, text, paths: [], holders: new Set<string>() };
    group.paths.push(`${folder}/${module.path}/*`);
    for (const holder of holders.length > 0 ? holders : [module.author]) group.holders.add(holder);
    groups.set(key, group);
  }
  const paragraphs = [...groups.values()].map(({ license, text, paths, holders }) =>
    paragraph(paths, [...holders], license, text),
  );
  return [
    'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/',
    'Upstream-Name: dsr-controller',
    'Comment: The folder node_modules has the npm packages that the programs use, as their authors published them, without\n what is not used at run time. sbom.cdx.json beside this file lists them.',
    '',
    paragraph(['*'], ownHolders, 'MIT', ownText),
    ...paragraphs,
  ].join('\n');
}

const paragraph = (paths: string[], holders: string[], license: string, text: string): string =>
  [
    `Files: ${paths.join('\n ')}`,
    `Copyright: ${holders.join('\n ')}`,
    `License: ${license}`,
    ...text.split('\n').map((line) => (line.trim() === '' ? ' .' : ` ${line.trimEnd()}`)),
    '',
  ].join('\n');

/** Text and copyright holders of a package; what is the same for all of its licence is said in few words. */
function textOf({ license, licenseText, homepage }: Module, mit: string): [string, string[]] {
  const [text, holders] = parts(licenseText ?? '');
  if (license === 'Apache-2.0')
    return ['On Debian systems the text of this licence is in /usr/share/common-licenses/Apache-2.0.', holders];
  if (text !== '') return [text, holders];
  if (license === 'MIT') return [mit, holders];
  return [`Its package names this licence and has no text of it; see ${homepage}.`, holders];
}

/** A line that names who has the copyright, which is not one of the licence's own words about it. */
const holderLine = /^\W*(?:[Cc]opyright|\([Cc]\)(?= *\d))[\s:]*(?:\([Cc]\)|©)?\s*((?:\d{4}|[A-Z][a-z]).*)$/;

/** A licence file as its text without, and its lines with, copyrights. */
function parts(file: string): [string, string[]] {
  const lines = file.replaceAll('\r', '').replaceAll('\t', '    ').trim().split('\n');
  const holders = lines.flatMap((line) => holderLine.exec(line)?.[1]?.trim() ?? []);
  const rest = lines.filter((line) => !holderLine.test(line)).join('\n');
  return [rest.replace(/\n{3,}/g, '\n\n').trim(), holders];
}
