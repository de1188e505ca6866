/** One rule of a packet filter, as far as it bears on packets of state invalid. */
export interface FilterRule {
  /** Family, table and chain. */
  chain: string;
  /** Where it is, for a person. */
  place: string;
  /** Chains that it sends any packets to. */
  targets: string[];
  /** It drops packets of state invalid, or sends them to these chains. */
  onInvalid: 'drop' | string[];
  /** It drops whatever comes to it. */
  dropsAll: boolean;
  /** Addresses that it keeps from being tracked. */
  untracked: string[];
}

/** The rules of a packet filter, and the chains where packets to this host begin. */
export interface Filter {
  rules: readonly FilterRule[];
  start: readonly string[];
}

/** Rules that packets to this host can come to. */
export function reachedRules({ rules, start }: Filter): FilterRule[] {
  const of = new Map<string, FilterRule[]>();
  for (const rule of rules) {
    const list = of.get(rule.chain);
    if (list) list.push(rule);
    else of.set(rule.chain, [rule]);
  }
  const reached = new Set(start);
  // A set goes on to what is added while it is walked.
  for (const chain of reached)
    for (const { targets, onInvalid } of of.get(chain) ?? [])
      for (const target of [...targets, ...(onInvalid === 'drop' ? [] : onInvalid)]) reached.add(target);
  return rules.filter(({ chain }) => reached.has(chain));
}

/** The first rule that packets to this host can come to and that drops those of state invalid. */
export function droppingRule(filter: Filter): FilterRule | undefined {
  const reached = reachedRules(filter);
  const deadly = new Set(reached.flatMap(({ chain, dropsAll }) => (dropsAll ? [chain] : [])));
  return reached.find(({ onInvalid }) => onInvalid === 'drop' || onInvalid.some((chain) => deadly.has(chain)));
}
