// Weights that follow the cards. IPVS evens out connections; what fills a card is bytes, and the director sees none of the
// replies. The agents do: each card's load is compared with the pool's, and a share of the new connections is moved from
// the fuller to the emptier ones. infra/simulation shows why it is done in just this way.
import { isDeepStrictEqual } from 'node:util';
import { nextSwing, noSwing, oppositeness, type Swing } from './swing.ts';

/** What is known of one real server of a pool. */
export interface HeadroomMember {
  /** The operator's, greater than 0: loads are to be in this ratio to each other. */
  weight: number;
  /** Takes its full share of new connections, so that its load is what this share brings. */
  isSteady: boolean;
  /** Undefined while nothing is heard of its card. */
  card: HeadroomCard | undefined;
  /** Of its card before that, Mbit/s: a speed does not change because an agent is silent. */
  lastSpeedMbit: number | undefined;
  /** The weight that the kernel has, where this controller has just started; 0: none. */
  kernelWeight: number;
}

/** One card, as its host reported it. */
export interface HeadroomCard {
  /** Mbit/s; null where it is not known. */
  speedMbit: number | null;
  /** Everything that leaves by it, Mbit/s. */
  txMbit: number;
  /** Packets that were to leave by it and did not, of all; 0 to 1. */
  lostShare: number;
  /** How long ago that was, milliseconds. */
  ageMs: number;
}

/** The weights of one pool, and what the next ones are made from. */
export interface Headroom {
  /** By real server, for IPVS: 1 to 1000, the latter for the largest share. */
  weights: ReadonlyMap<string, number>;
  /** The operator's, by real server. */
  asked: ReadonlyMap<string, number>;
  /** By real server whose card is known: how full it is, 0 to 1; more when packets are lost. */
  loads: ReadonlyMap<string, number>;
  /** By real server whose share does not follow its card: why. */
  unfollowed: ReadonlyMap<string, Unfollowed>;
  /** By real server: the logarithm of what its share is multiplied by. */
  trims: ReadonlyMap<string, number>;
  /** How boldly it acts, 0 to 1. */
  gain: number;
  swing: Swing;
  /** Of the first and of the last look, milliseconds by a clock that only grows. */
  since: number;
  at: number;
}

/** silent: nothing is heard of the card. idle: see {@link idleShare}. */
type Unfollowed = 'silent' | 'speed unknown' | 'idle';

const topWeight = 1000;
/** Looks nearer to each other are one. */
const lookMs = 900;
/** Who comes in has few connections at first, and IPVS gives it many at once: so long its load says little. */
export const settleMs = 8000;
/** Older figures say nothing. */
export const oldMs = 5000;
/** Part of a deviation that is taken back in a second when it is known after one, and that is answered at once. */
const integral = 0.375;
const proportional = 0.6;
/** A report is a mean over a second and is used for a second: that much delay there is always, seconds. */
const ownDelay = 1;
/** Deviations up to this are left alone. */
const deadband = 0.02;
/** Below this load deviations count less: there is room for all, and they are mostly chance. */
const lowLoad = 0.2;
/**
 * A card that carries less than this of what most others do is no card with room: its host may answer with errors, which cost it
 * nothing, and would be given ever more visitors for them. Of two nobody can tell: what fills the other may be no visitors.
 */
const idleShare = 0.1;
/** Below this load that is chance, and not worth a word. */
const idleWorthTelling = 0.05;
/** The share of a card that is so full is not raised. */
const highLoad = 0.95;
const leastTrim = Math.log(0.05);
const mostTrim = Math.log(2);
/** Trims of those that are not heard of fade over this, seconds. */
const fadeSeconds = 30;
/** A packet lost in so many makes a card count as full twice over. */
const lossFactor = 50;
/** What is this opposite is no chance any more. */
const tooOpposite = -0.4;
const firstGain = 0.45;
const leastGain = 0.02;

/**
 * Weights of one pool after another look at its cards; the same object when it is too early for one.
 *
 * @param now milliseconds, by a clock that only grows
 */
export function nextHeadroom(
  before: Headroom | undefined,
  members: ReadonlyMap<string, HeadroomMember>,
  now: number,
): Headroom {
  const asked = new Map([...members].map(([name, { weight }]) => [name, weight]));
  if (before && now - before.at < lookMs && isDeepStrictEqual(before.asked, asked)) return before;
  const seconds = before ? Math.min(3, Math.max(0, now - before.at) / 1000) : 0;
  const since = before?.since ?? now;
  const bases = basesOf(members);
  const loads = loadsOf(members);
  const { deviations, idle } = deviationsOf(members, loads);
  const swing = nextSwing(before?.swing ?? noSwing, deviations);
  const gain = before ? nextGain(before.gain, swing, seconds) : firstGain;
  const trims = new Map<string, number>();
  // At a start the agents have yet to say how fast their cards are: until then the kernel's own shares stay, which a
  // quick answer may have taken beyond what trims alone may do.
  const isNew = !before || (now - since < oldMs && [...members.values()].some((of) => !speedOf(of)));
  const old = isNew ? found(members, bases) : before.trims;
  for (const [name, { card }] of members) {
    const trim = old.get(name) ?? 0;
    const deviation = deviations.get(name);
    if (deviation === undefined || !card) {
      trims.set(name, isNew ? trim : trim * Math.exp(-seconds / fadeSeconds));
      continue;
    }
    const change = (-gain * integral * seconds * outside(deviation)) / delayOf(card);
    trims.set(name, change > 0 && (loads.get(name) ?? 0) > highLoad ? trim : trim + change);
  }
  center(trims);
  if (!isNew) bound(trims);
  const shares = new Map<string, number>();
  for (const [name, { card }] of members) {
    const answer = card ? (gain * proportional * outside(deviations.get(name) ?? 0)) / delayOf(card) : 0;
    shares.set(name, (bases.get(name) ?? 1) * Math.exp((trims.get(name) ?? 0) - answer));
  }
  const largest = Math.max(...shares.values());
  const weights = new Map(
    [...shares].map(([name, share]) => [name, Math.max(1, Math.round((topWeight * share) / largest))]),
  );
  return { weights, asked, loads, unfollowed: unfollowedOf(members, loads, idle), trims, gain, swing, since, at: now };
}

/** Of one real server, in words. */
export function headroomWords({ weights, loads, unfollowed }: Headroom, name: string, isDirector = false): string {
  const full = `its card is ${Math.round((loads.get(name) ?? 0) * 100)} % full`;
  const whose = isDirector ? "the controller's" : "its agent's";
  const words = {
    silent: 'nothing is heard of its card',
    'speed unknown': `its card does not know its own speed, so that nothing follows how full it is: set speedMbit in ${whose} config`,
    idle: `${full}, far less than most others: it keeps its configured share; look at what it answers`,
  };
  const why = unfollowed.get(name);
  return `weight ${weights.get(name)} of ${topWeight} by headroom: ${why ? words[why] : full}`;
}

function unfollowedOf(
  members: ReadonlyMap<string, HeadroomMember>,
  loads: ReadonlyMap<string, number>,
  idle: ReadonlySet<string>,
): Map<string, Unfollowed> {
  const found = new Map<string, Unfollowed>();
  for (const [name, { card }] of members)
    if (idle.has(name)) found.set(name, 'idle');
    else if (!loads.has(name)) found.set(name, card && card.ageMs <= oldMs ? 'speed unknown' : 'silent');
  return found;
}

/** Shares by weight and speed, as weights; a card whose speed nobody knows counts as one of the middle. */
function basesOf(members: ReadonlyMap<string, HeadroomMember>): Map<string, number> {
  const known = [...members.values()].flatMap((of) => speedOf(of) ?? []).sort((a, b) => a - b);
  const middle = known[known.length >> 1] ?? 1;
  const shares = new Map([...members].map(([name, of]) => [name, of.weight * (speedOf(of) ?? middle)]));
  const largest = [...shares.values()].reduce((a, b) => Math.max(a, b), 0);
  return new Map([...shares].map(([name, share]) => [name, (topWeight * share) / largest]));
}

/** Cards that lose packets are fuller than their bytes say. */
function loadsOf(members: ReadonlyMap<string, HeadroomMember>): Map<string, number> {
  const loads = new Map<string, number>();
  for (const [name, { card }] of members)
    if (card?.speedMbit && card.ageMs <= oldMs)
      loads.set(name, (card.txMbit / card.speedMbit) * (1 + Math.min(1, lossFactor * card.lostShare)));
  return loads;
}

/**
 * How far each load is from what its weight makes of the whole, -1 to 1; nothing where there are not two to compare, and nothing of
 * those that are idle though they take their share.
 */
function deviationsOf(
  members: ReadonlyMap<string, HeadroomMember>,
  loads: ReadonlyMap<string, number>,
): { deviations: Map<string, number>; idle: Set<string> } {
  const steady = [...members].flatMap(([name, { weight, isSteady, card }]) => {
    const load = loads.get(name);
    return isSteady && load !== undefined && card?.speedMbit ? [{ name, weight, load, speed: card.speedMbit }] : [];
  });
  const usual = steady.map(({ load, weight }) => load / weight).sort((a, b) => a - b)[(steady.length - 1) >> 1] ?? 0;
  const judged = steady.filter(({ load, weight }) => load >= idleShare * usual * weight);
  const idle = steady.filter((of) => !judged.includes(of) && usual * of.weight >= idleWorthTelling);
  const deviations = new Map<string, number>();
  let [carried, room] = [0, 0];
  for (const { weight, load, speed } of judged) {
    carried += load * speed;
    room += weight * speed;
  }
  for (const { name, weight, load } of judged.length > 1 ? judged : []) {
    const due = (carried / room) * weight;
    deviations.set(name, Math.min(1, Math.max(-1, (load - due) / Math.max(due, lowLoad))));
  }
  return { deviations, idle: new Set(idle.map(({ name }) => name)) };
}

const speedOf = ({ card, lastSpeedMbit }: HeadroomMember): number | undefined =>
  (card ? card.speedMbit : lastSpeedMbit) || undefined;

const outside = (deviation: number) => Math.sign(deviation) * Math.max(0, Math.abs(deviation) - deadband);

/** Seconds. */
const delayOf = ({ ageMs }: HeadroomCard) => ownDelay + Math.max(0, ageMs) / 1000;

/** A controller that starts anew goes on with the shares that the kernel has; who has none there stands at their middle. */
function found(members: ReadonlyMap<string, HeadroomMember>, bases: ReadonlyMap<string, number>): Map<string, number> {
  const trims = new Map<string, number>();
  for (const [name, { kernelWeight }] of members)
    if (kernelWeight > 0) trims.set(name, Math.log(kernelWeight / (bases.get(name) ?? 1)));
  center(trims);
  return trims;
}

/** Quick to retreat when loads swing, slow to come back. */
function nextGain(gain: number, swing: Swing, seconds: number): number {
  if (oppositeness(swing) < tooOpposite) return Math.max(leastGain, gain * 0.93 ** seconds);
  return Math.min(1, gain + 0.01 * seconds);
}

/** Only the ratio of weights matters: as much is given as is taken. */
function center(trims: Map<string, number>): void {
  let sum = 0;
  for (const trim of trims.values()) sum += trim;
  const mean = sum / Math.max(1, trims.size);
  for (const [name, trim] of trims) trims.set(name, trim - mean);
}

function bound(trims: Map<string, number>): void {
  for (const [name, trim] of trims) trims.set(name, Math.min(mostTrim, Math.max(leastTrim, trim)));
}
