/**
 * What a TaskQueue says about its scaling, with every default filled in and every duration in milliseconds.
 *
 * `behavior` has the names, the meaning and the defaults of a HorizontalPodAutoscaler's. The fields are described once,
 * in {@link POLICY_FIELDS}, from which docs/scaling.md is made.
 */

/** Who decides: the operator by the load, `spec.replicas`, or another autoscaler through the `scale` subresource. */
export type ScalingMode = "Auto" | "Manual" | "External";

/** At most `value` replicas, or percent of them, come or go within `periodMs`. */
export interface StepPolicy {
  readonly type: "Pods" | "Percent";
  readonly value: number;
  readonly periodMs: number;
}

/** How fast replicas may change in one direction. */
export interface ScalingRules {
  readonly stabilizationWindowMs: number;
  /** Which of several policies counts: the one that allows the largest change, the smallest, or no change at all. */
  readonly selectPolicy: "Max" | "Min" | "Disabled";
  readonly policies: readonly StepPolicy[];
  readonly tolerancePercent: number;
}

/** Bounds of builds whose runs are still open while no new run comes to them. */
export interface DrainingPolicy {
  readonly minReplicas: number;
  readonly maxReplicas: number;
  /** How long a draining build is idle before its last replica goes. */
  readonly scaledownDelayMs: number;
}

/** @see POLICY_FIELDS */
export interface ScalingPolicy {
  readonly mode: ScalingMode;
  /** `spec.replicas`: what Manual and External follow; null while nobody has written it. */
  readonly replicas: number | null;
  readonly minReplicas: number;
  readonly maxReplicas: number;
  readonly targetBacklogPerReplica: number;
  /** Null for no age term. */
  readonly targetScheduleToStartMs: number | null;
  readonly slotsPerReplica: number;
  /** 10..100. */
  readonly targetSlotUtilizationPercent: number;
  readonly timerLookaheadMs: number;
  readonly pollIntervalMs: number;
  readonly cooldownMs: number;
  readonly behavior: { readonly scaleUp: ScalingRules; readonly scaleDown: ScalingRules };
  readonly onMetricsError: {
    /** Observations that fail one after another before `replicas` counts. */
    readonly afterFailures: number;
    readonly behavior: "Hold" | "HoldIfHigher";
    readonly replicas: number;
  };
  readonly paused: { readonly scaleIn: boolean; readonly scaleOut: boolean };
  readonly draining: DrainingPolicy;
}

/** A field of `spec.scaling` (or of `spec`, as said), as a user writes it. */
export interface PolicyField {
  readonly name: string;
  readonly default: string;
  readonly meaning: string;
}

/** What a TaskQueue's scaling fields mean, in the order of the docs. */
export const POLICY_FIELDS: readonly PolicyField[] = [
  {
    name: "mode",
    default: "Auto",
    meaning:
      "Who decides: `Auto` by the load, `Manual` by `spec.replicas`, `External` by whoever writes the `scale` subresource.",
  },
  { name: "minReplicas", default: "0", meaning: "Least replicas of the builds that get new runs." },
  { name: "maxReplicas", default: "10", meaning: "Most replicas of the builds that get new runs." },
  {
    name: "targetBacklogPerReplica",
    default: "10",
    meaning: "Ready tasks that one replica should find.",
  },
  {
    name: "targetScheduleToStart",
    default: "none",
    meaning: "Age of the oldest ready task above which more replicas are asked for.",
  },
  { name: "slotsPerReplica", default: "100", meaning: "Tasks that one replica works on at once." },
  { name: "targetSlotUtilization", default: "75", meaning: "Percent of the slots that should be in use." },
  {
    name: "timerLookahead",
    default: "30s",
    meaning: "How long before the next timer a replica is there.",
  },
  {
    name: "pollInterval",
    default: "5s",
    meaning: "How often is looked when nothing wakes the operator earlier.",
  },
  {
    name: "cooldown",
    default: "5m",
    meaning:
      "How long a queue is idle (no backlog, nothing in flight, no timer ahead) before its last replica goes.",
  },
  {
    name: "behavior.scaleUp",
    default: "window 0s, tolerance 10 %, the larger of 4 pods and 100 % in 15 s",
    meaning: "As of a HorizontalPodAutoscaler.",
  },
  {
    name: "behavior.scaleDown",
    default: "window 5m, tolerance 10 %, 100 % in 15 s",
    meaning: "As of a HorizontalPodAutoscaler.",
  },
  {
    name: "onMetricsError",
    default: "Hold",
    meaning:
      "While the store can't be observed: `Hold` what is there; `HoldIfHigher` raises to `replicas` after `afterFailures` (3) failures. Neither takes anything away.",
  },
  {
    name: "paused",
    default: "scaleIn: false, scaleOut: false",
    meaning: "Freezes a direction, as the annotations below do.",
  },
  {
    name: "versioning.draining (of spec)",
    default: "minReplicas: 0, maxReplicas: 2, scaledownDelay: 10m",
    meaning: "Bounds and cooldown of builds that only finish old runs.",
  },
];

const PERIOD_MS = 15_000;

/** What holds where a TaskQueue says nothing. */
export const DEFAULT_POLICY: ScalingPolicy = {
  mode: "Auto",
  replicas: null,
  minReplicas: 0,
  maxReplicas: 10,
  targetBacklogPerReplica: 10,
  targetScheduleToStartMs: null,
  slotsPerReplica: 100,
  targetSlotUtilizationPercent: 75,
  timerLookaheadMs: 30_000,
  pollIntervalMs: 5_000,
  cooldownMs: 300_000,
  behavior: {
    scaleUp: {
      stabilizationWindowMs: 0,
      selectPolicy: "Max",
      policies: [
        { type: "Pods", value: 4, periodMs: PERIOD_MS },
        { type: "Percent", value: 100, periodMs: PERIOD_MS },
      ],
      tolerancePercent: 10,
    },
    scaleDown: {
      stabilizationWindowMs: 300_000,
      selectPolicy: "Max",
      policies: [{ type: "Percent", value: 100, periodMs: PERIOD_MS }],
      tolerancePercent: 10,
    },
  },
  onMetricsError: { afterFailures: 3, behavior: "Hold", replicas: 0 },
  paused: { scaleIn: false, scaleOut: false },
  draining: { minReplicas: 0, maxReplicas: 2, scaledownDelayMs: 600_000 },
};
