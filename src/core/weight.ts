import type { RealServer } from '../schema.ts';
import type { Attestation } from './agents.ts';
import type { Health } from './health.ts';
import type { Drain } from './state.ts';

/** The weight of one destination and why, in words. */
export interface Standing {
  weight: number;
  /** Takes new connections. */
  serving: boolean;
  /** Needs nobody's attention: it serves, or it does not because somebody asked for that. */
  well: boolean;
  /** It fails, and serves all the same: by the limit on ejections, or the fallback. */
  isHeldIn?: true;
  reason: string;
}

/** What is known of one member of a port when its weight is computed. */
export interface Candidate {
  server: RealServer;
  drain: Drain | undefined;
  attestation: Attestation;
  /** Undefined where the director's prober does not look: at itself, and at UDP ports without a check. */
  probe: (Omit<Health, 'streak'> & { at: number }) | undefined;
  /** When it began to take connections, milliseconds since the epoch; undefined when it did not at the last pass. */
  servingSince: number | undefined;
  /** The weight by headroom in place of the configured one, and the words for it. */
  headroom: { weight: number; words: string } | undefined;
}

/** What a port asks of the weights of its members. */
export interface WeightRules {
  /** Share of the members that doubtful failures may take out, in percent. */
  maxEjectedPercent: number;
  slowStartMs: number;
  fallback: 'refuse' | 'director' | 'keep';
  /** Why nothing can be probed at present, in words. */
  proberProblem: string | undefined;
  /** Milliseconds since the epoch. */
  now: number;
}

/** Standings of all members of one port, and what holds of the whole. */
export interface PortStandings {
  members: Map<string, Standing>;
  /** In words: the limit on ejections holds somebody in, or the fallback is in force. */
  notice: string | undefined;
  /** Nobody is left, and the director's own host answers. */
  directorAnswers: boolean;
}

/** What the proofs of one member come to. */
type Verdict =
  | { kind: 'in' | 'asked'; well: boolean; reason: string }
  /** out: without doubt. doubtful: what says so may be the network's fault, or the check's. */
  | { kind: 'out' | 'doubtful'; at: number; reason: string };

/**
 * The one place where weights come from; they are never stored. A member serves while its probe and its attestation
 * agree. Doubtful failures take out at most `maxEjectedPercent` of those that are not out without doubt, at least one:
 * those that are out already, then those that failed first; the rest stays in.
 */
export function standingsOfPort(candidates: ReadonlyMap<string, Candidate>, rules: WeightRules): PortStandings {
  const verdicts = [...candidates].map(([name, candidate]) => ({
    name,
    candidate,
    verdict: verdictOf(candidate, rules.proberProblem),
  }));
  const doubtful = verdicts
    .flatMap(({ name, candidate, verdict }) =>
      verdict.kind === 'doubtful' ? [{ name, in: candidate.servingSince === undefined ? 0 : 1, at: verdict.at }] : [],
    )
    .sort((a, b) => a.in - b.in || a.at - b.at || (a.name < b.name ? -1 : 1));
  const concerned = verdicts.filter(({ verdict }) => verdict.kind === 'in').length + doubtful.length;
  const limit = Math.max(1, Math.floor((concerned * rules.maxEjectedPercent) / 100));
  const held = new Set(doubtful.slice(limit).map(({ name }) => name));
  const members = new Map<string, Standing>();
  for (const { name, candidate, verdict } of verdicts) {
    const { reason } = verdict;
    if (verdict.kind === 'asked') members.set(name, { weight: 0, serving: false, well: verdict.well, reason });
    else if (verdict.kind === 'in') members.set(name, serving(candidate, rules, verdict.well, `in service: ${reason}`));
    else if (held.has(name))
      members.set(
        name,
        heldIn(candidate, rules, `kept in by the limit on ejections (${rules.maxEjectedPercent} %): ${reason}`),
      );
    else members.set(name, { weight: 0, serving: false, well: false, reason });
  }
  const nobody = [...members.values()].every((standing) => !standing.serving);
  const wanted = verdicts.filter(({ verdict }) => verdict.kind === 'out' || verdict.kind === 'doubtful');
  if (nobody && wanted.length > 0 && rules.fallback === 'keep')
    for (const { name, candidate, verdict } of wanted)
      if (candidate.attestation.verdict !== 'never' && candidate.probe?.verdict !== 'unknown')
        members.set(name, heldIn(candidate, rules, `kept in by fallback "keep", as nobody is left: ${verdict.reason}`));
  const answers = nobody && rules.fallback === 'director';
  return { members, notice: noticeOf(held.size, nobody && wanted.length > 0, rules), directorAnswers: answers };
}

function noticeOf(held: number, nobody: boolean, { maxEjectedPercent, fallback }: WeightRules): string | undefined {
  if (held > 0)
    return `the limit on ejections holds: ${held} more fail${held === 1 ? 's' : ''} than the ${maxEjectedPercent} % that may be taken out at once, so the fault may be the network's or the check's`;
  if (!nobody) return undefined;
  if (fallback === 'director') return 'no real server is left: the director answers by itself (fallback "director")';
  if (fallback === 'keep') return 'no real server is left: all that were fit before are kept in (fallback "keep")';
  return 'no real server is left: connections are refused (fallback "refuse")';
}

/** Linear from nothing to the whole weight over `slowStartMs`, and never 0. */
function serving(
  { server, servingSince, headroom }: Candidate,
  rules: WeightRules,
  well: boolean,
  reason: string,
): Standing {
  const { slowStartMs, now } = rules;
  const since = servingSince ?? now;
  // The clock may have gone back.
  const share = slowStartMs === 0 || since > now ? 1 : Math.min(1, (now - since) / slowStartMs);
  const whole = headroom?.weight ?? server.weight;
  const weight = Math.max(1, Math.floor(whole * share));
  const words = [reason];
  if (weight < whole) words.push(`slow start, ${Math.floor(share * 100)} % of its weight`);
  if (headroom) words.push(headroom.words);
  return { weight, serving: true, well, reason: words.join('; ') };
}

const heldIn = (candidate: Candidate, rules: WeightRules, reason: string): Standing => ({
  ...serving(candidate, rules, false, reason),
  isHeldIn: true,
});

function verdictOf({ server, drain, attestation, probe, servingSince }: Candidate, proberProblem?: string): Verdict {
  if (server.state !== 'active') {
    const word = server.state === 'drain' ? 'drain' : 'maintenance';
    const how =
      drain && !drain.done
        ? `${word}: takes no new connections, the established ones go on`
        : `${word}: out of service`;
    return { kind: 'asked', well: true, reason: `${how}; set state to "active" to bring it back` };
  }
  if (server.weight === 0)
    return { kind: 'asked', well: true, reason: 'its weight is 0 in the pool; give it one to bring it back' };
  if (attestation.verdict === 'leaving') return { kind: 'asked', well: true, reason: attestation.reason };
  const { silent, reason: said } = attestation;
  if (attestation.verdict === 'never' || attestation.verdict === 'unfit') return { kind: 'out', at: 0, reason: said };
  if (!probe) return { kind: 'in', well: !silent, reason: said };
  if (probe.verdict === 'down') {
    const reason = silent ? `${probe.words}; ${said}` : probe.words;
    return { kind: probe.hard ? 'out' : 'doubtful', at: probe.at, reason };
  }
  if (proberProblem !== undefined) {
    // The agents alone decide, as long as there is one that speaks or it served before.
    if ((!silent && attestation.verdict !== 'unasked') || servingSince !== undefined)
      return { kind: 'in', well: false, reason: `${said}; nothing can be probed: ${proberProblem}` };
    return { kind: 'out', at: 0, reason: `${said}; and nothing can be probed: ${proberProblem}` };
  }
  if (probe.verdict === 'unknown') {
    if (servingSince !== undefined) return { kind: 'in', well: true, reason: `${said}; ${probe.words}` };
    return { kind: 'out', at: 0, reason: `${probe.words} through the VIP` };
  }
  return { kind: 'in', well: !silent, reason: `${probe.words}; ${said}` };
}
