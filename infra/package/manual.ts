/** A man page around what a program's --help says (man-pages(7)). */
export interface Page {
  name: string;
  section: 1 | 8;
  summary: string;
  /** Heading and text as it is printed. */
  help: readonly (readonly [heading: string, text: string])[];
  files: readonly (readonly [path: string, what: string])[];
  seeAlso: string;
  version: string;
  /** Seconds since 1970. */
  time: number;
}

export function manPage({ name, section, summary, help, files, seeAlso, version, time }: Page): string {
  const date = new Date(time * 1000).toISOString().slice(0, 10);
  return `${[
    `.TH ${name.toUpperCase()} ${section} ${date} "dsr-controller ${version}" "dsr-controller"`,
    '.SH NAME',
    `${name} \\- ${roff(summary)}`,
    ...help.flatMap(([heading, text]) => [`.SH ${heading}`, '.nf', ...text.trimEnd().split('\n').map(roff), '.fi']),
    '.SH FILES',
    ...files.flatMap(([path, what]) => ['.TP', `.I ${roff(path)}`, roff(what)]),
    '.SH EXIT STATUS',
    '0 fine, 1 failure, 2 bad usage or setting (named), 3 missing privilege or kernel feature (with how to get it).',
    '.SH SEE ALSO',
    seeAlso,
  ].join('\n')}\n`;
}

/** groff_char(7): a minus is one, and a line that begins with a dot or a quote is text. */
const roff = (line: string): string =>
  line
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^([.'])/, '\\&$1');
