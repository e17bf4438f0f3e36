/**
 * What the load asks for: the terms of the formula and their maximum, for one build.
 *
 * Promises that more backlog, more in flight or an older task never asks for fewer replicas.
 */
import type { BuildObservation, WaitingLoad } from "./observation.ts";
import type { ScalingPolicy } from "./policy.ts";
import type { Term } from "./reasons.ts";

/** The age multiplies the replicas by no more than this at once, however old the oldest task is. */
const AGE_FACTOR_MAX = 2;

/** Percent that arithmetic may be off. */
const ROUNDING = 1e-9;

/** The load that one build answers for. */
export interface BuildLoad {
  readonly waiting: WaitingLoad;
  readonly inFlight: number;
}

/** What each term asks for, and all of them together. */
export interface Recommendation {
  /** Whole replicas by term; a term that does not apply asks for 0. */
  readonly terms: Readonly<Record<Term, number>>;
  /** The largest of them, before any rule. */
  readonly raw: number;
  /** The same, not rounded: what the tolerance compares. */
  readonly demand: number;
}

/**
 * The load of a build: what waits for it, and its share of what waits for any.
 *
 * A build with any share answers for all timers and for the age of what has no build yet: who will get it is not known.
 */
export function loadOf(build: BuildObservation, unassigned: WaitingLoad): BuildLoad {
  const { waiting, sharePercent, inFlight } = build;
  if (sharePercent === 0) return { waiting, inFlight };
  return {
    inFlight,
    waiting: {
      ready: waiting.ready + Math.ceil((unassigned.ready * sharePercent) / 100),
      oldestAgeMs: largest(waiting.oldestAgeMs, unassigned.oldestAgeMs),
      nextTimerInMs: smallest(waiting.nextTimerInMs, unassigned.nextTimerInMs),
      unserved: waiting.unserved + unassigned.unserved,
    },
  };
}

/** Whether the load alone asks for a living worker, now or within the look-ahead. */
export function hasWork({ waiting, inFlight }: BuildLoad, { timerLookaheadMs }: ScalingPolicy): boolean {
  return waiting.ready + waiting.unserved + inFlight > 0 || timerNear(waiting, timerLookaheadMs);
}

/** Whether a build at zero is to have a replica: there is work, and as much of it as `activation.backlog` asks for. */
export function wakes({ waiting, inFlight }: BuildLoad, policy: ScalingPolicy): boolean {
  const { ready, unserved } = waiting;
  return (
    ready + unserved >= policy.activationBacklog ||
    inFlight > 0 ||
    timerNear(waiting, policy.timerLookaheadMs)
  );
}

/**
 * Asks every term.
 *
 * @param load - As of {@link loadOf}.
 * @param readyReplicas - Replicas that are up: the age is their failure, that of the others is only that they start.
 * @param policy - Targets.
 */
export function recommend(load: BuildLoad, readyReplicas: number, policy: ScalingPolicy): Recommendation {
  const { waiting, inFlight } = load;
  const slots = (policy.slotsPerReplica * policy.targetSlotUtilizationPercent) / 100;
  const backlog = waiting.ready / policy.targetBacklogPerReplica;
  const busy = inFlight / slots;
  const demands: Record<Term, number> = {
    backlog,
    inFlight: busy,
    age: Math.min(ageDemand(waiting, readyReplicas, policy), busy + waiting.ready),
    timer: timerNear(waiting, policy.timerLookaheadMs) ? 1 : 0,
    unserved: waiting.unserved > 0 ? 1 : 0,
  };
  const demand = Math.max(...Object.values(demands));
  return {
    terms: {
      backlog: Math.ceil(demands.backlog),
      inFlight: Math.ceil(demands.inFlight),
      age: Math.ceil(demands.age),
      timer: demands.timer,
      unserved: demands.unserved,
    },
    raw: Math.ceil(demand),
    demand,
  };
}

/**
 * The recommendation that rules go on from: the present replicas while the demand is near enough to them.
 *
 * @param current - Replicas that the Deployment asks for.
 */
export function tolerate(
  { raw, demand }: Recommendation,
  current: number,
  { scaleUp, scaleDown }: ScalingPolicy["behavior"],
): number {
  const { tolerancePercent } = demand > current ? scaleUp : scaleDown;
  // 10.9 is 9 % more than 10, which floating-point numbers do not quite say.
  return Math.abs(demand - current) * 100 <= current * (tolerancePercent + ROUNDING) ? current : raw;
}

function ageDemand(waiting: WaitingLoad, readyReplicas: number, policy: ScalingPolicy): number {
  const { oldestAgeMs } = waiting;
  const targetMs = policy.targetScheduleToStartMs;
  if (targetMs === null || oldestAgeMs === null || waiting.ready === 0 || oldestAgeMs <= targetMs) return 0;
  return readyReplicas * Math.min(oldestAgeMs / targetMs, AGE_FACTOR_MAX);
}

function timerNear({ nextTimerInMs }: WaitingLoad, lookaheadMs: number): boolean {
  return nextTimerInMs !== null && nextTimerInMs <= lookaheadMs;
}

function largest(left: number | null, right: number | null): number | null {
  return left === null || right === null ? (left ?? right) : Math.max(left, right);
}

function smallest(left: number | null, right: number | null): number | null {
  return left === null || right === null ? (left ?? right) : Math.min(left, right);
}
