import { taskQueueSchema } from "@memflow/crds";
import type { TaskQueueSpec } from "@memflow/crds";
import { expect, test } from "vitest";
import { DEFAULT_POLICY, scalingPolicyOf } from "./policy.ts";

/** The spec of a TaskQueue as a user writes it, with the defaults that a cluster fills in. */
function specOf(changes: object = {}): TaskQueueSpec {
  return taskQueueSchema.parse({
    apiVersion: "memflow.io/v1alpha1",
    kind: "TaskQueue",
    metadata: { name: "orders" },
    spec: {
      storeRef: { name: "store" },
      workers: { source: { image: { ref: "registry.example/orders:1" } } },
      ...changes,
    },
  }).spec;
}

test("a TaskQueue that says nothing has the default policy", () => {
  expect(scalingPolicyOf(specOf())).toEqual(DEFAULT_POLICY);
});

test("every field is read, every duration in milliseconds", () => {
  const policy = scalingPolicyOf(
    specOf({
      replicas: 4,
      versioning: { draining: { minReplicas: 1, maxReplicas: 3, scaledownDelay: "1m" } },
      scaling: {
        mode: "External",
        minReplicas: 2,
        maxReplicas: 30,
        targetBacklogPerReplica: 5,
        targetScheduleToStart: "1500ms",
        slotsPerReplica: 20,
        targetSlotUtilization: 50,
        activation: { backlog: 7 },
        timerLookahead: "1m",
        pollInterval: "2s",
        cooldown: "1h",
        tolerancePercent: 20,
        behavior: {
          scaleUp: { stabilization: "1s", maxPercent: 50, maxPods: 8, period: "30s" },
          scaleDown: { stabilization: "10m", maxPercent: 10, maxPods: 1, period: "1m" },
        },
        onMetricsError: { afterFailures: 5, behavior: "HoldIfHigher", replicas: 6 },
        paused: { scaleIn: true, scaleOut: false },
      },
    }),
  );
  expect(policy).toEqual({
    mode: "External",
    replicas: 4,
    minReplicas: 2,
    maxReplicas: 30,
    targetBacklogPerReplica: 5,
    targetScheduleToStartMs: 1_500,
    slotsPerReplica: 20,
    targetSlotUtilizationPercent: 50,
    activationBacklog: 7,
    timerLookaheadMs: 60_000,
    pollIntervalMs: 2_000,
    cooldownMs: 3_600_000,
    behavior: {
      scaleUp: {
        stabilizationWindowMs: 1_000,
        selectPolicy: "Max",
        policies: [
          { type: "Pods", value: 8, periodMs: 30_000 },
          { type: "Percent", value: 50, periodMs: 30_000 },
        ],
        tolerancePercent: 20,
      },
      scaleDown: {
        stabilizationWindowMs: 600_000,
        selectPolicy: "Max",
        policies: [
          { type: "Pods", value: 1, periodMs: 60_000 },
          { type: "Percent", value: 10, periodMs: 60_000 },
        ],
        tolerancePercent: 20,
      },
    },
    onMetricsError: { afterFailures: 5, behavior: "HoldIfHigher", replicas: 6 },
    paused: { scaleIn: true, scaleOut: false },
    draining: { minReplicas: 1, maxReplicas: 3, scaledownDelayMs: 60_000 },
  });
});
