/**
 * The conditions that a scaling decision puts into a TaskQueue's status; what each reason means is said with the kind
 * (crds/).
 */
import { CONDITION_MESSAGE_MAX } from "@memflow/crds";
import type { Condition, ConditionReason, TASK_QUEUE_CONDITIONS } from "@memflow/crds";
import type { BuildDecision } from "./decide-build.ts";
import type { QueueObservation } from "./observation.ts";
import type { ScalingPolicy } from "./policy.ts";
import { LIMITS } from "./reasons.ts";
import type { Limit } from "./reasons.ts";

type ActiveReason = ConditionReason<typeof TASK_QUEUE_CONDITIONS, "ScalingActive">;
type LimitedReason = ConditionReason<typeof TASK_QUEUE_CONDITIONS, "ScalingLimited">;

/** A condition without what only its writer knows (transition time, observed generation). */
export type ScalingCondition = Pick<Condition, "type" | "status" | "reason" | "message">;

/** How each rule reads as the reason of `ScalingLimited`; whoever decides in place of the load limits nothing. */
const LIMITED_REASONS: Readonly<Record<Limit, LimitedReason>> = {
  None: "NotLimited",
  Tolerance: "Tolerance",
  Stabilization: "Stabilization",
  Step: "StepLimit",
  Max: "TooManyReplicas",
  Min: "TooFewReplicas",
  Activation: "NotLimited",
  Cooldown: "Cooldown",
  InFlightFloor: "InFlight",
  Hold: "MetricsUnavailable",
  Paused: "Paused",
  Manual: "NotLimited",
  External: "NotLimited",
};

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
  const { load } = observation;
  const active = activeReason(observation, policy);
  const limited = builds.find(({ limitedBy }) => LIMITED_REASONS[limitedBy] !== "NotLimited");
  return [
    {
      type: "ScalingActive",
      status: active === "Observed" ? "True" : "False",
      reason: active,
      message: (load.kind === "Unseen" ? load.message : message).slice(0, CONDITION_MESSAGE_MAX),
    },
    {
      type: "ScalingLimited",
      status: limited === undefined ? "False" : "True",
      reason: LIMITED_REASONS[limited?.limitedBy ?? "None"],
      message:
        limited === undefined
          ? "every build has what its load asks for"
          : `build "${limited.buildId}": ${LIMITS[limited.limitedBy]}`,
    },
  ];
}

function activeReason({ load, pause }: QueueObservation, policy: ScalingPolicy): ActiveReason {
  if (policy.mode !== "Operator") return `${policy.mode}Mode`;
  if (isFrozen(pause, policy)) return "Paused";
  return load.kind === "Seen" ? "Observed" : "ObservationFailed";
}

function isFrozen(pause: QueueObservation["pause"], { paused }: ScalingPolicy): boolean {
  if (pause.replicas !== null) return true;
  return (pause.scaleIn || paused.scaleIn) && (pause.scaleOut || paused.scaleOut);
}
