/**
 * The operator's decisions, without a cluster: pure functions that `memflow dev` uses as the operator does.
 */
export { decide } from "./scaling/core/decide.ts";
export type { ScalingDecision, ScalingEvent } from "./scaling/core/decide.ts";
export type { BuildDecision, DecisionStep } from "./scaling/core/decide-build.ts";
export type { ScalingCondition } from "./scaling/core/conditions.ts";
export { EMPTY_MEMORY } from "./scaling/core/memory.ts";
export type { ScalingMemory } from "./scaling/core/memory.ts";
export type { QueueObservation, UnseenQueue } from "./scaling/core/observation.ts";
export { CORDON_MS, DELETION_COST_ANNOTATION, planScaleIn } from "./scaling/core/plan-scale-in.ts";
export type { ReplicaPod, ScaleInPlan } from "./scaling/core/plan-scale-in.ts";
export { DEFAULT_POLICY, scalingPolicyOf } from "./scaling/core/policy.ts";
export type { ScalingMode, ScalingPolicy, ScalingRules, StepPolicy } from "./scaling/core/policy.ts";
export { observeQueue } from "./scaling/core/queue-observation.ts";
export type {
  BuildPod,
  BuildReplicas,
  ObservedQueue,
  QueueFacts,
  QueueLoad,
  WorkerLoad,
} from "./scaling/core/queue-observation.ts";
export type { EventReason, Limit, Term } from "./scaling/core/reasons.ts";
