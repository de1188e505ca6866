import type { Filter, FilterRule } from './filter-rule.ts';

/** What `nft --json list ruleset` answers (libnftables-json(5)); nothing of it is taken for granted. */
export interface Ruleset {
  nftables: readonly unknown[];
}

/** What an nftables ruleset does with packets to this host. */
export function nftFilter({ nftables }: Ruleset): Filter {
  const chains = nftables.flatMap((one) => (isObject(one) && isObject(one.chain) ? [one.chain] : []));
  const rules = nftables.flatMap((one) => (isObject(one) && isObject(one.rule) ? [one.rule] : []));
  return {
    start: chains.filter(({ hook }) => hook === 'input' || hook === 'prerouting').map((one) => nameOf(one, one.name)),
    rules: rules.map(ruleOf),
  };
}

/** Whether iptables-nft wrote a rule with a match that nft shows in text only. */
export const hasForeignMatch = ({ nftables }: Ruleset): boolean => find({ nftables }, 'xt').length > 0;

const nameOf = ({ family, table }: Json, chain: unknown) => `${family} ${table} ${chain}`;

function ruleOf(rule: Json): FilterRule {
  const parts = Array.isArray(rule.expr) ? rule.expr.filter(isObject) : [];
  const chain = nameOf(rule, rule.chain);
  const targets = targetsOf(rule, parts);
  const drops = parts.some(isDrop);
  const ofInvalid = parts.some(({ match }) => isObject(match) && takesInvalid(match));
  return {
    chain,
    place: `${rule.family} table ${rule.table}, chain ${rule.chain}, handle ${rule.handle}`,
    targets,
    onInvalid: ofInvalid
      ? drops
        ? 'drop'
        : targets
      : parts.some(mapsToDrop)
        ? 'drop'
        : parts.flatMap((part) => mapped(rule, part)),
    dropsAll: drops && !parts.some((part) => 'match' in part || 'xt' in part),
    untracked: untracked(parts),
  };
}

const isDrop = (part: Json) => 'drop' in part || 'reject' in part;

/** Chains that anything in a rule jumps or goes to, also from within a map of verdicts. */
const targetsOf = (rule: Json, within: unknown) =>
  [...find(within, 'jump'), ...find(within, 'goto')].flatMap((to) =>
    isObject(to) && typeof to.target === 'string' ? [nameOf(rule, to.target)] : [],
  );

/** A match on the state of connection tracking that takes the word "invalid". */
function takesInvalid({ left, op, right }: Json): boolean {
  const state = isObject(left) && Array.isArray(left['&']) ? left['&'][0] : left;
  if (!isState(state)) return false;
  return names(right, 'invalid') !== (op === '!=');
}

const isState = (key: unknown) => isObject(key) && isObject(key.ct) && key.ct.key === 'state';

/** Verdicts that a map by state has for the word "invalid". */
function verdicts({ vmap }: Json): unknown[] {
  if (!isObject(vmap) || !isState(vmap.key) || !isObject(vmap.data) || !Array.isArray(vmap.data.set)) return [];
  return vmap.data.set.flatMap((pair) => (Array.isArray(pair) && names(pair[0], 'invalid') ? [pair[1]] : []));
}

const mapsToDrop = (part: Json) => verdicts(part).some((verdict) => isObject(verdict) && isDrop(verdict));
const mapped = (rule: Json, part: Json) => targetsOf(rule, verdicts(part));

/** Whether the right side of a match is this word, or a list or set with it. */
function names(right: unknown, word: string): boolean {
  if (Array.isArray(right)) return right.some((one) => names(one, word));
  if (isObject(right) && 'set' in right) return names(right.set, word);
  return right === word;
}

/** Addresses that a rule without further conditions keeps from being tracked. */
function untracked(parts: readonly Json[]): string[] {
  const matches = parts.filter((part) => 'match' in part || 'xt' in part);
  const [only] = matches;
  if (!parts.some((part) => 'notrack' in part) || matches.length !== 1 || !isObject(only?.match)) return [];
  const { left, op, right } = only.match;
  if (op !== '==' || !isObject(left) || !isObject(left.payload) || left.payload.field !== 'daddr') return [];
  return addressesOf(right);
}

/** As nft writes them: one, a list, a set, or a prefix. */
function addressesOf(right: unknown): string[] {
  if (typeof right === 'string') return [right];
  if (Array.isArray(right)) return right.flatMap(addressesOf);
  if (!isObject(right)) return [];
  if (isObject(right.prefix)) return [`${right.prefix.addr}/${right.prefix.len}`];
  return addressesOf(right.set);
}

type Json = Record<string, unknown>;
const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Values of a key at any depth. */
function find(within: unknown, key: string): unknown[] {
  if (Array.isArray(within)) return within.flatMap((one) => find(one, key));
  if (!isObject(within)) return [];
  return Object.entries(within).flatMap(([name, value]) => [...(name === key ? [value] : []), ...find(value, key)]);
}
