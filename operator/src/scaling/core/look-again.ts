/**
 * When to look at a queue again, if nothing wakes the operator earlier.
 */
import { longestPeriodMs } from "./behavior.ts";
import type { BuildAnswer } from "./decide-build.ts";
import type { ScalingPolicy } from "./policy.ts";

/** No two looks are closer than this, whatever is due. */
const LOOK_MIN_MS = 500;

/** While workers run out of work that are to go, their pods are looked at as often as this. */
const DRAINING_LOOK_MS = 5_000;

/**
 * How long until the next look: a poll interval, or until something that is known already changes the decision.
 *
 * @param answers - Of all builds of the queue.
 * @param nowMs - Of the observation.
 * @returns At least half a second, at most the poll interval.
 */
export function lookAgainInMs(answers: readonly BuildAnswer[], policy: ScalingPolicy, nowMs: number): number {
  const due = answers.flatMap((answer) => dueInMs(answer, policy, nowMs)).filter((ms) => ms > 0);
  return Math.max(LOOK_MIN_MS, Math.min(policy.pollIntervalMs, ...due));
}

/** Distances to moments at which a rule lets go; those in the past are no news. */
function dueInMs({ decision, memory }: BuildAnswer, policy: ScalingPolicy, nowMs: number): readonly number[] {
  const { behavior } = policy;
  const due: number[] = decision.aim < decision.current ? [DRAINING_LOOK_MS] : [];
  const timerInMs = decision.load?.waiting.nextTimerInMs ?? null;
  if (timerInMs !== null) due.push(timerInMs - policy.timerLookaheadMs, timerInMs);
  if (memory.idleSinceMs !== null && decision.current > 0) {
    due.push(memory.idleSinceMs + decision.bounds.cooldownMs - nowMs);
  }
  for (const { atMs } of memory.highs.slice(0, 1)) {
    due.push(atMs + behavior.scaleDown.stabilizationWindowMs - nowMs);
  }
  for (const { atMs } of memory.lows.slice(0, 1))
    due.push(atMs + behavior.scaleUp.stabilizationWindowMs - nowMs);
  for (const { atMs } of [...memory.scaleUps.slice(0, 1), ...memory.scaleDowns.slice(0, 1)]) {
    due.push(atMs + longestPeriodMs(behavior) - nowMs);
  }
  return due;
}
