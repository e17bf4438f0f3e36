/**
 * The conditions that a scaling decision puts into a TaskQueue's status.
 */
import type { BuildDecision } from "./decide-build.ts";
import type { QueueObservation } from "./observation.ts";
import type { ScalingPolicy } from "./policy.ts";
import { LIMITS } from "./reasons.ts";
import type { Limit } from "./reasons.ts";

/** Reasons of `ScalingActive`. */
export const ACTIVE_REASONS = {
  LoadKnown: "True: the load is observed and decides.",
  LoadUnknown: "False: the store can't be observed; replicas are held.",
  Paused: "False: an annotation or `paused` freezes both directions.",
  Manual: "False: mode `Manual`.",
  External: "False: mode `External`.",
} as const;

/** A condition without what only its writer knows (transition time, observed generation). */
export interface ScalingCondition {
  readonly type: "ScalingActive" | "ScalingLimited";
  readonly status: "True" | "False";
  readonly reason: string;
  readonly message: string;
}

/** The reason of `ScalingLimited` when it is False, as a HorizontalPodAutoscaler says it. */
export const NOT_LIMITED_REASON = "DesiredWithinRange";

/** Rules that decide in place of the load; `ScalingActive` says these. */
const NO_LIMIT: readonly Limit[] = ["None", "Tolerance", "Activation", "Hold", "Manual", "External"];

/** Builds both conditions; `ScalingLimited` is about the first build that a rule keeps from what its load asks for. */
export function scalingConditions({
  observation,
  policy,
  builds,
  message,
}: {
  readonly observation: QueueObservation;
  readonly policy: ScalingPolicy;
  readonly builds: readonly BuildDecision[];
  readonly message: string;
}): readonly ScalingCondition[] {
  const active = activeReason(observation, policy);
  const limited = builds.find(({ limitedBy }) => !NO_LIMIT.includes(limitedBy));
  return [
    {
      type: "ScalingActive",
      status: active === "LoadKnown" ? "True" : "False",
      reason: active,
      message: observation.load.kind === "Unseen" ? observation.load.message : message,
    },
    limited === undefined
      ? {
          type: "ScalingLimited",
          status: "False",
          reason: NOT_LIMITED_REASON,
          message: "every build has what is asked for",
        }
      : {
          type: "ScalingLimited",
          status: "True",
          reason: limited.limitedBy,
          message: `build "${limited.buildId}": ${LIMITS[limited.limitedBy]}`,
        },
  ];
}

function activeReason({ load, pause }: QueueObservation, policy: ScalingPolicy): keyof typeof ACTIVE_REASONS {
  if (policy.mode !== "Auto") return policy.mode;
  if (isFrozen(pause, policy)) return "Paused";
  return load.kind === "Seen" ? "LoadKnown" : "LoadUnknown";
}

function isFrozen(pause: QueueObservation["pause"], { paused }: ScalingPolicy): boolean {
  if (pause.replicas !== null) return true;
  return (pause.scaleIn || paused.scaleIn) && (pause.scaleOut || paused.scaleOut);
}
