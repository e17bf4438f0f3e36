/**
 * `status` of a TaskQueue: what is observed, what was decided from it, and what limited the decision.
 *
 * It can be rebuilt from scratch. Times rather than ages: a status is written when something happened, not because time went by.
 */
import { z } from "zod";
import { conditions, observedGeneration } from "../../conditions.ts";
import { count, dateTime, integer, listByKey, text } from "../../fields.ts";
import { REPLICAS_MAX } from "./scaling.ts";
import { buildId, BUILDS_MAX } from "./versioning.ts";

const replicas = integer(0, REPLICAS_MAX * BUILDS_MAX);

const version = z.strictObject({
  buildId: buildId.describe("Name of the build."),
  phase: z
    .enum(["Pending", "Ramping", "Current", "Draining", "Drained"])
    .optional()
    .describe("Where it stands between its first pod and its deletion."),
  rampPercent: integer(0, 100).optional().describe("Percent of new runs that go to it."),
  replicas: replicas.optional().describe("Replicas asked for."),
  readyReplicas: replicas.optional().describe("Workers that are ready."),
  pinnedRuns: count().optional().describe("Open runs that stay with it."),
  unassigned: count().optional().describe("Open runs that wait for it without a worker."),
  revision: text(253).optional().describe("ControllerRevision with its pod template."),
  since: dateTime.optional().describe("When it came into its phase."),
});

const scaling = z.strictObject({
  observedAt: dateTime.optional().describe("When the queue was observed."),
  backlog: count().optional().describe("Tasks that are ready and wait for a worker."),
  oldestReadyTime: dateTime.optional().describe("Since when the oldest ready task waits."),
  inFlight: count().optional().describe("Tasks that workers work on."),
  nextTimerTime: dateTime.optional().describe("When the next timer is due."),
  rawDesired: integer(0, 1_000_000_000).optional().describe("Replicas by the formula, before any limit."),
  desired: integer(0, REPLICAS_MAX).optional().describe("Replicas that were decided on."),
  limitedBy: z
    .enum([
      "None",
      "Min",
      "Max",
      "Tolerance",
      "Stabilization",
      "Step",
      "Activation",
      "Cooldown",
      "InFlightFloor",
      "Paused",
      "Hold",
      "Manual",
      "External",
    ])
    .optional()
    .describe("What made `desired` differ from `rawDesired`."),
  lastScaleTime: dateTime.optional().describe("When the replicas changed last."),
  reason: text(256).optional().describe("The decision in words."),
});

/** The whole of `status`. */
export const taskQueueStatus = z.strictObject({
  observedGeneration,
  replicas: replicas.optional().describe("Replicas of all builds; read through /scale."),
  readyReplicas: replicas.optional().describe("Workers of all builds that are ready."),
  selector: text(1_024).optional().describe("Selector of the worker pods; read through /scale."),
  currentBuildId: buildId.optional().describe("Build to which new runs go."),
  targetBuildId: buildId
    .optional()
    .describe("Build of the spec; differs from the current one during a rollout."),
  versions: listByKey(version, "buildId", BUILDS_MAX).optional().describe("Builds that have a Deployment."),
  scaling: scaling.optional().describe("The last observation and decision."),
  lastPromotion: text(64)
    .optional()
    .describe("Value of the annotation memflow.io/promote that was acted on."),
  conditions,
});
