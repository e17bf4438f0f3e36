/**
 * How fast replicas may change: stabilisation windows and policies, as a HorizontalPodAutoscaler understands them.
 *
 * @see https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#configurable-scaling-behavior
 */
import { within } from "./memory.ts";
import type { BuildMemory, Moment } from "./memory.ts";
import type { ScalingPolicy, ScalingRules } from "./policy.ts";

type Behavior = ScalingPolicy["behavior"];

/**
 * The replicas closest to the present ones that a recommendation of the window asked for.
 *
 * @param current - Replicas that the Deployment asks for.
 * @param memory - `highs` and `lows` of their windows, each with the latest recommendation.
 * @returns `current` when the recommendations of the windows lie on both sides of it.
 */
export function stabilize(current: number, { highs, lows }: Pick<BuildMemory, "highs" | "lows">): number {
  const upTo = Math.min(...lows.map(({ replicas }) => replicas));
  const downTo = Math.max(...highs.map(({ replicas }) => replicas));
  return Math.min(Math.max(current, upTo), downTo);
}

/**
 * Where the policies of `behavior` let the replicas go at this moment.
 *
 * @param current - Replicas that the Deployment asks for.
 * @param wanted - Replicas to go to.
 * @param options - The behaviour, the changes so far and the time.
 * @returns `wanted`, or the replicas between `current` and it that are as close to it as the policies allow.
 */
export function limitStep(
  current: number,
  wanted: number,
  {
    behavior,
    memory,
    nowMs,
  }: { readonly behavior: Behavior; readonly memory: BuildMemory; readonly nowMs: number },
): number {
  if (wanted === current) return wanted;
  const up = wanted > current;
  const rules = up ? behavior.scaleUp : behavior.scaleDown;
  if (rules.selectPolicy === "Disabled") return current;
  const limits = rules.policies.map(({ type, value, periodMs }) => {
    const came = total(within(memory.scaleUps, nowMs, periodMs));
    const went = total(within(memory.scaleDowns, nowMs, periodMs));
    const change = type === "Pods" ? value : ((current - came + went) * value) / 100;
    return up ? Math.ceil(current - came + went + change) : Math.trunc(current - came + went - change);
  });
  const widest = (rules.selectPolicy === "Max") === up;
  const limit = widest ? Math.max(...limits) : Math.min(...limits);
  return up ? Math.max(current, Math.min(wanted, limit)) : Math.min(current, Math.max(wanted, limit));
}

/** The longest period of a direction's policies: how long a change is remembered. */
export function longestPeriodMs({ scaleUp, scaleDown }: Behavior): number {
  return Math.max(0, ...[scaleUp, scaleDown].flatMap(periodsOf));
}

function periodsOf({ policies }: ScalingRules): readonly number[] {
  return policies.map(({ periodMs }) => periodMs);
}

function total(changes: readonly Moment[]): number {
  return changes.reduce((sum, { replicas }) => sum + replicas, 0);
}
