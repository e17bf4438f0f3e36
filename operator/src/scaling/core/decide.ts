/**
 * The scaling decision of one task queue: how many replicas each of its builds should have, why, and when to look again.
 *
 * Promises (each a property in decide.property.test.ts): the bounds hold; nothing goes below what is in flight, nor
 * below the workers that hold an attempt; more backlog never means fewer replicas; an error or a lost memory takes
 * nothing away; work for a build at zero starts one; with Manual and External the load decides nothing.
 *
 * Does not observe and does not apply: no I/O, no clock, no randomness. Which pods go is `planScaleIn`'s.
 */
import { describeBuild } from "./describe.ts";
import { decideBuild } from "./decide-build.ts";
import type { BuildAnswer, BuildDecision } from "./decide-build.ts";
import { lookAgainInMs } from "./look-again.ts";
import type { ScalingMemory } from "./memory.ts";
import type { QueueObservation } from "./observation.ts";
import type { ScalingPolicy } from "./policy.ts";
import type { EventReason } from "./reasons.ts";
import { scalingConditions } from "./conditions.ts";
import type { ScalingCondition } from "./conditions.ts";

/** What is decided for a queue. */
export interface ScalingDecision {
  readonly builds: readonly BuildDecision[];
  readonly conditions: readonly ScalingCondition[];
  readonly events: readonly ScalingEvent[];
  /** The whole decision in one sentence a build, for a person. */
  readonly message: string;
  readonly lookAgainInMs: number;
}

/** An Event to record: its reason and its note. */
export interface ScalingEvent {
  readonly reason: EventReason;
  readonly note: string;
}

/**
 * Decides.
 *
 * @param observation - The queue as it is; see `QueueObservation`.
 * @param policy - The queue's `spec.scaling` with its defaults.
 * @param memory - What the last decision returned; `EMPTY_MEMORY` when it is lost.
 * @returns The decision, and the memory for the next one. Deciding changes neither argument.
 */
export function decide(
  observation: QueueObservation,
  policy: ScalingPolicy,
  memory: ScalingMemory,
): { readonly decision: ScalingDecision; readonly memory: ScalingMemory } {
  const failureCount = observation.load.kind === "Seen" ? 0 : memory.failureCount + 1;
  const answers = observation.builds.map((build) =>
    decideBuild({ observation, build, policy, memory: memory.builds[build.buildId], failureCount }),
  );
  const builds = answers.map(({ decision }) => decision);
  const message = builds.map((decision) => describeBuild(decision, observation, policy)).join(" ");
  return {
    decision: {
      builds,
      conditions: scalingConditions({ observation, policy, builds, message }),
      events: builds.flatMap((decision) =>
        eventReasons(decision, { failureCount, failedBefore: memory.failureCount > 0 }).map((reason) => ({
          reason,
          note: describeBuild(decision, observation, policy),
        })),
      ),
      message,
      lookAgainInMs: lookAgainInMs(answers, policy, observation.atMs),
    },
    memory: { failureCount, builds: Object.fromEntries(answers.map(rememberedBy)) },
  };
}

function rememberedBy({ decision, memory }: BuildAnswer): [string, BuildAnswer["memory"]] {
  return [decision.buildId, memory];
}

function eventReasons(
  { current, replicas, limitedBy }: BuildDecision,
  { failureCount, failedBefore }: { readonly failureCount: number; readonly failedBefore: boolean },
): readonly EventReason[] {
  const outage: EventReason[] = [];
  if (failureCount === 1 && limitedBy === "Hold") outage.push("ScalingHeld");
  if (failureCount === 0 && failedBefore) outage.push("ScalingResumed");
  if (replicas === current) return outage;
  if (current === 0) return [...outage, "Activated"];
  if (replicas > current) return [...outage, "ScaledUp"];
  return [...outage, replicas === 0 ? "ScaledToZero" : "ScaledDown"];
}
