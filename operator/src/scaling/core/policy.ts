/**
 * What a TaskQueue says about its scaling, with every default filled in and every duration in milliseconds.
 *
 * `behavior` has the names and the meaning of a HorizontalPodAutoscaler's. What each field means to a user is said where
 * the kind is defined (crds/), and nowhere else.
 */
import { durationMs } from "@memflow/crds";
import type { TaskQueueSpec } from "@memflow/crds";

/** Who decides: the operator by the load, `spec.replicas`, or another autoscaler through the `scale` subresource. */
export type ScalingMode = TaskQueueSpec["scaling"]["mode"];

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

/** @see scalingPolicyOf */
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
  /** Ready tasks that wake a build at zero. */
  readonly activationBacklog: number;
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

/**
 * Reads the policy of a TaskQueue: the one place where its fields become numbers.
 *
 * @param spec - With its defaults, as `taskQueueSchema` gives it.
 */
export function scalingPolicyOf({ replicas, scaling, versioning }: TaskQueueSpec): ScalingPolicy {
  const { behavior, onMetricsError, targetScheduleToStart, tolerancePercent } = scaling;
  const { draining } = versioning;
  return {
    mode: scaling.mode,
    replicas: replicas ?? null,
    minReplicas: scaling.minReplicas,
    maxReplicas: scaling.maxReplicas,
    targetBacklogPerReplica: scaling.targetBacklogPerReplica,
    targetScheduleToStartMs: targetScheduleToStart === undefined ? null : durationMs(targetScheduleToStart),
    slotsPerReplica: scaling.slotsPerReplica,
    activationBacklog: scaling.activation.backlog,
    targetSlotUtilizationPercent: scaling.targetSlotUtilization,
    timerLookaheadMs: durationMs(scaling.timerLookahead),
    pollIntervalMs: durationMs(scaling.pollInterval),
    cooldownMs: durationMs(scaling.cooldown),
    behavior: {
      scaleUp: rulesOf(behavior.scaleUp, tolerancePercent),
      scaleDown: rulesOf(behavior.scaleDown, tolerancePercent),
    },
    onMetricsError: { ...onMetricsError, replicas: onMetricsError.replicas ?? 0 },
    paused: scaling.paused,
    draining: {
      minReplicas: draining.minReplicas,
      maxReplicas: draining.maxReplicas,
      scaledownDelayMs: durationMs(draining.scaledownDelay),
    },
  };
}

interface Direction {
  readonly stabilization: string;
  readonly maxPercent: number;
  readonly maxPods?: number | undefined;
  readonly period: string;
}

function rulesOf(
  { stabilization, maxPercent, maxPods, period }: Direction,
  tolerancePercent: number,
): ScalingRules {
  const periodMs = durationMs(period);
  const percent: StepPolicy = { type: "Percent", value: maxPercent, periodMs };
  return {
    stabilizationWindowMs: durationMs(stabilization),
    selectPolicy: "Max",
    policies: maxPods === undefined ? [percent] : [{ type: "Pods", value: maxPods, periodMs }, percent],
    tolerancePercent,
  };
}

const PERIOD_MS = 15_000;

/** What holds where a TaskQueue says nothing. */
export const DEFAULT_POLICY: ScalingPolicy = {
  mode: "Operator",
  replicas: null,
  minReplicas: 0,
  maxReplicas: 10,
  targetBacklogPerReplica: 10,
  targetScheduleToStartMs: null,
  slotsPerReplica: 100,
  targetSlotUtilizationPercent: 75,
  activationBacklog: 1,
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
