// One scheduler in one scenario, at one load after the other, as the lab does it: the simulation's side of the benchmark.
import { type Headroom, nextHeadroom, settleMs } from '../../src/core/headroom.ts';
import { bySecond, secondsToEven, unevenness } from './evenness.ts';
import { askedMbit, isLast, type Scenario, speedsOf, workloadOf } from './scenarios.ts';
import type { SchedulerName } from './schedulers.ts';
import {
  type Reported,
  type SimulatedCard,
  type SimulationOptions,
  type SimulationResult,
  simulate,
} from './simulate.ts';

export interface Contest {
  scenario: Scenario;
  scheduler: SchedulerName | 'headroom';
  /** What weights by headroom drive. Default: sed. */
  driven?: SchedulerName;
  cards: number;
  cardMbit: number;
  medianBytes: number;
  loads: readonly number[];
  warmUpSeconds: number;
  settleSeconds: number;
  measuredSeconds: number;
  reportDelaySeconds: number;
  seed: number;
}

export interface ContestPhase {
  load: number;
  unevenness: number;
  secondsToEven: number | undefined;
  mbit: number;
  /** What is open at the end counts with its age. */
  p99Seconds: number;
}

export interface ContestResult {
  phases: ContestPhase[];
  connections: number;
  lost: number;
}

export function hold(contest: Contest): ContestResult {
  const { scenario, loads, warmUpSeconds, settleSeconds, measuredSeconds, cardMbit } = contest;
  const speeds = speedsOf(scenario, contest.cards, cardMbit);
  const phaseSeconds = settleSeconds + measuredSeconds + scenario.lastGoneSeconds;
  const inPhase = (now: number) => (now - warmUpSeconds) % phaseSeconds;
  const cards = speeds.map((speedMbit, i): SimulatedCard => {
    const differs = isLast(i, speeds.length);
    return {
      speedMbit,
      ...(differs && { otherMbit: (now) => (now < warmUpSeconds ? 0 : scenario.lastBusy * speedMbit) }),
      ...(differs && { serves: (now) => now < warmUpSeconds || inPhase(now) >= scenario.lastGoneSeconds }),
    };
  });
  const asked = loads.map((load) => askedMbit(scenario, speeds, load));
  const phaseAt = (now: number) =>
    Math.max(0, Math.min(loads.length - 1, Math.floor((now - warmUpSeconds) / phaseSeconds)));
  const result = simulate({
    ...contest,
    seconds: warmUpSeconds + loads.length * phaseSeconds,
    cards,
    workload: workloadOf(scenario, cardMbit, contest.medianBytes),
    askedMbit: (now) => asked[phaseAt(now)] ?? 0,
    scheduler: contest.scheduler === 'headroom' ? (contest.driven ?? 'sed') : contest.scheduler,
    weights: weightsOf(contest, cards),
  });
  const { txMbit, connections, lost } = result;
  const phases = loads.map((load, i): ContestPhase => {
    const from = warmUpSeconds + i * phaseSeconds + scenario.lastGoneSeconds;
    const end = from + settleSeconds + measuredSeconds;
    const rows = bySecond(txMbit.slice(from, end));
    const measured = txMbit.slice(from + settleSeconds, end);
    const times = Float64Array.from(waitsOf(result, from, end)).sort();
    return {
      load,
      unevenness: unevenness(rows, speeds, { from: settleSeconds, seconds: measuredSeconds }) ?? Number.NaN,
      secondsToEven: secondsToEven(rows, speeds),
      mbit: measured.flat().reduce((sum, of) => sum + of, 0) / measured.length,
      p99Seconds: times[Math.floor(times.length * 0.99)] ?? 0,
    };
  });
  return { phases, connections, lost };
}

/** How long requests took that were answered from one time to another, and how old those were that were open at its end. */
function waitsOf({ repliedAt, took, unanswered }: SimulationResult, from: number, end: number): number[] {
  const waits: number[] = [];
  const add = (wantedAt: number, until: number) => {
    if (until >= end && wantedAt < end) waits.push(end - wantedAt);
  };
  for (const [n, at] of repliedAt.entries()) {
    const seconds = took[n] ?? 0;
    if (at >= from && at < end) waits.push(seconds);
    else add(at - seconds, at);
  }
  for (const { wantedAt, until } of unanswered) add(wantedAt, until);
  return waits;
}

/** Stock schedulers know the cards' speeds from the operator: weights in that ratio. The controller learns them. */
function weightsOf({ scheduler, cardMbit }: Contest, cards: readonly SimulatedCard[]): SimulationOptions['weights'] {
  const serving = (now: number) => cards.map(({ serves }) => serves?.(now) ?? true);
  const fixed = cards.map(({ speedMbit }) => Math.round((speedMbit / cardMbit) * 100));
  if (scheduler !== 'headroom') return (now) => serving(now).map((serves, i) => (serves ? (fixed[i] ?? 0) : 0));
  let headroom: Headroom | undefined;
  return (now, reports) => {
    const is = serving(now);
    const members = cards.map((card, i) => [String(i), memberOf(card, isSteady(card, now), reports[i], now)] as const);
    headroom = nextHeadroom(headroom, new Map(members), now * 1000);
    return is.map((serves, i) => (serves ? (headroom?.weights.get(String(i)) ?? 1) : 0));
  };
}

const isSteady = ({ serves }: SimulatedCard, now: number) =>
  !serves || Array.from({ length: settleMs / 1000 + 1 }, (_, ago) => now - ago).every((at) => at < 0 || serves(at));

const memberOf = ({ speedMbit }: SimulatedCard, isSteady: boolean, report: Reported | undefined, now: number) => ({
  weight: 100,
  isSteady,
  kernelWeight: 0,
  lastSpeedMbit: undefined,
  card: report && { speedMbit, txMbit: report.txMbit, lostShare: 0, ageMs: (now - report.at) * 1000 },
});
