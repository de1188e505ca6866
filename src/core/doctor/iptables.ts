import type { Filter, FilterRule } from './filter-rule.ts';

/** What iptables-save(8) and its siblings print. */
export interface SavedTables {
  /** Program, such as "iptables-nft". */
  by: string;
  text: string;
}

/** What the rules of iptables do with packets to this host. */
export function iptablesFilter({ by, text }: SavedTables): Filter {
  const rules: FilterRule[] = [];
  const start: string[] = [];
  let table = '';
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) {
      table = line.slice(1).trim();
      start.push(`${by} ${table} INPUT`, `${by} ${table} PREROUTING`);
    } else if (line.startsWith('-A ')) rules.push(ruleOf(by, table, line));
  }
  return { rules, start };
}

function ruleOf(by: string, table: string, line: string): FilterRule {
  // A quoted comment may hold anything.
  const words = line.replace(/"(?:\\.|[^"\\])*"/g, '""').split(/\s+/);
  const [, chain = '', ...rest] = words;
  const after = (...options: string[]) => {
    const at = rest.findIndex((word) => options.includes(word));
    return { value: at < 0 ? undefined : rest[at + 1], not: rest[at - 1] === '!' };
  };
  const nameOf = (name: string) => `${by} ${table} ${name}`;
  const target = after('-j', '-g', '--jump', '--goto').value;
  const state = after('--ctstate', '--state');
  const takesInvalid = state.value !== undefined && state.value.split(',').includes('INVALID') !== state.not;
  const drops = target === 'DROP' || target === 'REJECT';
  const targets = target === undefined || /^[A-Z]+$/.test(target) ? [] : [nameOf(target)];
  const untracked = rest.join(' ').match(/^-d (\S+) -j (?:CT --notrack|NOTRACK)$/)?.[1];
  return {
    chain: nameOf(chain),
    place: `${by}, table ${table}: ${line}`.slice(0, 300),
    targets,
    onInvalid: takesInvalid ? (drops ? 'drop' : targets) : [],
    dropsAll: drops && rest[0] === '-j',
    untracked: untracked === undefined ? [] : [untracked],
  };
}
