/**
 * Which bounds and which cooldown hold for a build, by what it is to its queue.
 */
import type { BuildObservation } from "./observation.ts";
import type { ScalingPolicy } from "./policy.ts";

/** The bounds of one build. */
export interface BuildBounds {
  readonly min: number;
  readonly max: number;
  readonly cooldownMs: number;
}

/**
 * The bounds of one build: builds that get new runs divide the queue's by their share, each rounded up, so that a
 * rollout does not double them; a draining build has its own.
 */
export function boundsOf(build: BuildObservation, policy: ScalingPolicy): BuildBounds {
  if (build.role === "Draining") {
    const { minReplicas: min, maxReplicas: max, scaledownDelayMs: cooldownMs } = policy.draining;
    return { min, max, cooldownMs };
  }
  return {
    min: shareOf(policy.minReplicas, build),
    max: shareOf(policy.maxReplicas, build),
    cooldownMs: policy.cooldownMs,
  };
}

/** A build's part of a number of replicas; at least one of one and more. */
export function shareOf(replicas: number, { sharePercent }: BuildObservation): number {
  return replicas === 0 ? 0 : Math.max(1, Math.ceil((replicas * sharePercent) / 100));
}
