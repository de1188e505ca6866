/** A command, its commands and options, and what its first argument is. */
export interface CommandNode {
  names: readonly string[];
  summary: string;
  commands: readonly CommandNode[];
  options: readonly { names: readonly string[]; summary: string; takesValue: boolean; choices: readonly string[] }[];
  /** One of these words, or a name of this kind: "pool", "server", "pool/server", "agent", "token", "file". */
  argument: { choices: readonly string[] } | { kind: string } | undefined;
}

export const shells = ['bash', 'zsh', 'fish'] as const;

/** A script that completes the commands of this tree; names are asked of the controller. */
export function completionScript(shell: (typeof shells)[number], root: CommandNode): string {
  const lines = shell === 'fish' ? fish(root) : [...posix(root), ...(shell === 'bash' ? bashEnd : zshEnd)];
  return `${(shell === 'zsh' ? ['#compdef dsrctl', ...lines] : lines).join('\n')}\n`;
}

interface Place {
  /** Words of the commands up to here, such as "get pools". */
  path: string;
  node: CommandNode;
}

/** Every place of the tree, under all of its names. */
const places = (node: CommandNode, path = ''): Place[] => [
  { path, node },
  ...node.commands.flatMap((sub) => sub.names.flatMap((name) => places(sub, path ? `${path} ${name}` : name))),
];

const wordsOf = (node: CommandNode): string[] => node.commands.flatMap(({ names }) => [...names]);
const kinds = ['pool', 'server', 'pool/server', 'agent', 'token'];
/** Options of a place: the program's own go everywhere. */
const optionsOf = (root: CommandNode, node: CommandNode) =>
  node === root ? root.options : [...node.options, ...root.options];
const takesFile = (option: string) => ['--file', '-f', '--config', '--token-file', '--ca'].includes(option);

/** What bash and zsh have in common: a function that fills `found`, or sets `files`, from the words before. */
function posix(root: CommandNode): string[] {
  const all = places(root);
  // Patterns of "$place:$last" for options that a value follows.
  const valued = all.flatMap(({ path, node }) =>
    node.options
      .filter(({ takesValue }) => takesValue)
      .flatMap(({ names, choices }) =>
        names.map((name) => ({ name, choices, pattern: path === '' ? `*:${name}` : `'${path}:${name}'` })),
      ),
  );
  const chosen = valued.filter(({ choices }) => choices.length > 0);
  const patterns = (wanted: (name: string) => boolean) =>
    valued.flatMap(({ name, pattern }) => (wanted(name) ? [pattern] : [])).join('|');
  const cases = all.map(({ path, node }) => {
    const names = optionsOf(root, node).flatMap((option) => option.names);
    return `    '${path}') flags='${names.join(' ')}'; ${answerOf(node)} ;;`;
  });
  const commands = all.filter(({ path }) => path !== '').map(({ path }) => `'${path}'`);
  const joined = `"${'$'}{place:+$place }$word"`;
  return [
    '# Completion of dsrctl, made by "dsrctl completion".',
    '_dsrctl_find() {',
    '  local place= last= word= flags= arguments=0',
    '  found= files=0',
    '  for word in "$@"; do',
    '    case "$place:$last" in',
    `      ${patterns(() => true)}) last=; continue ;;`,
    '    esac',
    '    last="$word"',
    '    case "$word" in',
    '      -*) continue ;;',
    '    esac',
    `    case ${joined} in`,
    `      ${commands.join('|')}) place=${joined} ;;`,
    '      *) arguments=$((arguments + 1)) ;;',
    '    esac',
    '  done',
    '  case "$place:$last" in',
    `    ${patterns(takesFile)}) files=1; return ;;`,
    `    ${patterns((name) => name === '--pool')}) found=$(dsrctl __complete pool 2>/dev/null); return ;;`,
    ...chosen.map(({ pattern, choices }) => `    ${pattern}) found='${choices.join(' ')}'; return ;;`),
    `    ${patterns((name) => !takesFile(name) && name !== '--pool')}) return ;;`,
    '  esac',
    '  case "$place" in',
    ...cases,
    '  esac',
    '  case "$current" in',
    '    -*) found="$flags"; files=0 ;;',
    '  esac',
    '}',
  ];
}

function answerOf(node: CommandNode): string {
  const { commands, argument } = node;
  if (commands.length > 0) return `found='${wordsOf(node).join(' ')}'`;
  if (!argument) return ':';
  const first = (what: string) => `[ $arguments -eq 0 ] && ${what}`;
  if ('choices' in argument) return first(`found='${argument.choices.join(' ')}'`);
  if (argument.kind === 'file') return first('files=1');
  return kinds.includes(argument.kind) ? first(`found=$(dsrctl __complete ${argument.kind} 2>/dev/null)`) : ':';
}

const bashEnd = [
  '_dsrctl() {',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's own
  '  local found files current="${COMP_WORDS[COMP_CWORD]}"',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's own
  '  _dsrctl_find "${COMP_WORDS[@]:1:COMP_CWORD-1}"',
  '  if [ "$files" = 1 ]; then',
  '    compopt -o filenames',
  '    COMPREPLY=($(compgen -f -- "$current"))',
  '  else',
  '    COMPREPLY=($(compgen -W "$found" -- "$current"))',
  '  fi',
  '}',
  'complete -F _dsrctl dsrctl',
];

const zshEnd = [
  '_dsrctl() {',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's own
  '  local found files current="${words[CURRENT]}"',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's own
  '  _dsrctl_find "${(@)words[2,CURRENT-1]}"',
  '  if [ "$files" = 1 ]; then',
  '    _files',
  '  else',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's own
  '    compadd -- ${=found}',
  '  fi',
  '}',
  'if [ "$funcstack[1]" = "_dsrctl" ]; then _dsrctl; else compdef _dsrctl dsrctl; fi',
];

const quoted = (text: string): string => `'${text.replace(/[\\']/g, '\\$&')}'`;

function fish(root: CommandNode): string[] {
  const lines = ['# Completion of dsrctl, made by "dsrctl completion".', 'complete -c dsrctl -f'];
  for (const { path, node } of places(root)) {
    const words = path.split(' ').filter(Boolean);
    const here = words.map((word) => `__fish_seen_subcommand_from ${word}`);
    const open = node.commands.length > 0 ? [`not __fish_seen_subcommand_from ${wordsOf(node).join(' ')}`] : [];
    const when = (tests: string[]) => (tests.length > 0 ? ` -n ${quoted(tests.join('; and '))}` : '');
    for (const sub of node.commands)
      for (const name of sub.names)
        lines.push(`complete -c dsrctl${when([...here, ...open])} -a ${quoted(name)} -d ${quoted(sub.summary)}`);
    for (const option of node.options) lines.push(`complete -c dsrctl${when(here)}${fishOption(option)}`);
    const { argument } = node;
    if (!argument || node.commands.length > 0) continue;
    if ('choices' in argument) lines.push(`complete -c dsrctl${when(here)} -a ${quoted(argument.choices.join(' '))}`);
    else if (argument.kind === 'file') lines.push(`complete -c dsrctl${when(here)} -F`);
    else if (kinds.includes(argument.kind))
      lines.push(`complete -c dsrctl${when(here)} -a ${quoted(`(dsrctl __complete ${argument.kind} 2>/dev/null)`)}`);
  }
  return lines;
}

function fishOption({ names, summary, takesValue, choices }: CommandNode['options'][number]): string {
  const flags = names.map((name) => (name.startsWith('--') ? ` -l ${name.slice(2)}` : ` -s ${name.slice(1)}`));
  const value = !takesValue
    ? ''
    : names.some(takesFile)
      ? ' -r -F'
      : names.includes('--pool')
        ? ` -x -a ${quoted('(dsrctl __complete pool 2>/dev/null)')}`
        : choices.length > 0
          ? ` -x -a ${quoted(choices.join(' '))}`
          : ' -x';
  return `${flags.join('')}${value} -d ${quoted(summary)}`;
}
