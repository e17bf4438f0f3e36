/**
 * TaskQueue: a queue in a Store, and the workers that serve it.
 *
 * `memflow dev` runs child processes in place of the Deployment: it takes the bounds of `scaling`, the concurrency, the
 * plain environment and the drain time from here, and the code from a folder beside the manifest in place of `source`.
 */
import { z } from "zod";
import { duration } from "../durations.ts";
import { integer, localRef, text } from "../fields.ts";
import { AGE_COLUMN, MESSAGE_COLUMN, READY_COLUMN } from "../kind-definition.ts";
import type { KindDefinition } from "../kind-definition.ts";
import { resource } from "../resource.ts";
import { neverChanges, withRules } from "../rules.ts";
import { TASK_QUEUE_CONDITIONS, TASK_QUEUE_EVENTS } from "./task-queue/conditions.ts";
import { REPLICAS_MAX, scaling } from "./task-queue/scaling.ts";
import { taskQueueStatus } from "./task-queue/status.ts";
import { versioning } from "./task-queue/versioning.ts";
import { workers } from "./task-queue/workers.ts";

/** Annotation: the code for `memflow dev`, a file or folder seen from the manifest's folder (default: that folder). */
export const DEV_MODULE_ANNOTATION = "memflow.io/dev-module";
/** Annotation: with rollout.strategy Manual, the build id that becomes the current one. */
export const PROMOTE_ANNOTATION = "memflow.io/promote";

/** A Deployment is called `<queue>-<8 characters>`, and its pods need room for their own suffix. */
const TASK_QUEUE_NAME_MAX = 40;
const OTHER_QUEUE = "make another TaskQueue, move the workflows there, and delete this one";

const deletion = z.strictObject({
  mode: z
    .enum(["Drain", "Force"])
    .default("Drain")
    .describe(
      "Drain waits for open runs and tasks in flight, Force stops the workers; runs stay in the database.",
    ),
  timeout: duration("0s", "168h").default("10m").describe("How long Drain waits."),
  onTimeout: z
    .enum(["Force", "Keep"])
    .default("Force")
    .describe("What follows then: the workers are stopped, or the queue stays until it has drained."),
});

const spec = withRules(
  z.strictObject({
    storeRef: withRules(localRef, [
      {
        cel: "self == oldSelf",
        message: `can't be changed: ${OTHER_QUEUE}`,
        isTransition: true,
        holds: (self, oldSelf) => self.name === oldSelf.name,
      },
    ]).describe("The Store that holds the queue. Can't be changed."),
    queueName: text(128)
      .optional()
      .describe("Name in the Store (the resource's name when left out). Can't be changed."),
    replicas: integer(0, REPLICAS_MAX)
      .optional()
      .describe("Replicas with mode Manual and External; written through /scale."),
    scaling: scaling.prefault({}).describe("How many replicas, by what, how fast."),
    workers: workers.describe("The code and the pods that run it."),
    versioning: versioning.prefault({}).describe("Builds side by side."),
    deletion: deletion.prefault({}).describe("What happens to the workers when the TaskQueue is deleted."),
  }),
  [
    {
      cel: "self.scaling.mode != 'Manual' || has(self.replicas)",
      message: "is required with scaling.mode Manual",
      field: ["replicas"],
      holds: (self) => self.scaling.mode !== "Manual" || self.replicas !== undefined,
    },
    neverChanges("queueName", OTHER_QUEUE),
  ],
);

/** The whole resource. */
export const taskQueueSchema = resource<TaskQueueStatus, "TaskQueue", typeof spec>({
  kind: "TaskQueue",
  nameMax: TASK_QUEUE_NAME_MAX,
  spec,
});

/** A TaskQueue with its defaults filled in. */
export type TaskQueue = z.output<typeof taskQueueSchema>;
/** The spec of a TaskQueue with its defaults filled in. */
export type TaskQueueSpec = z.output<typeof spec>;
/** What the operator says of a TaskQueue. */
export type TaskQueueStatus = z.output<typeof taskQueueStatus>;

/** The queue's name in its Store: what workers and clients say. */
export function queueNameOf(taskQueue: TaskQueue): string {
  return taskQueue.spec.queueName ?? taskQueue.metadata.name;
}

export const TASK_QUEUE: KindDefinition = {
  kind: "TaskQueue",
  plural: "taskqueues",
  singular: "taskqueue",
  shortNames: ["mftq"],
  description: "A queue in a Store, and the workers that serve it, scaled by what waits in it.",
  schema: taskQueueSchema,
  spec,
  status: taskQueueStatus,
  printerColumns: [
    READY_COLUMN,
    {
      name: "Build",
      type: "string",
      jsonPath: ".status.currentBuildId",
      description: "Build to which new runs go.",
    },
    {
      name: "Workers",
      type: "integer",
      jsonPath: ".status.readyReplicas",
      description: "Workers that are ready.",
    },
    {
      name: "Desired",
      type: "integer",
      jsonPath: ".status.scaling.desired",
      description: "Replicas that were decided on.",
    },
    {
      name: "Backlog",
      type: "integer",
      jsonPath: ".status.scaling.backlog",
      description: "Tasks that wait for a worker.",
    },
    {
      name: "Oldest",
      type: "date",
      jsonPath: ".status.scaling.oldestReadyTime",
      description: "How long the oldest ready task waits.",
    },
    {
      name: "InFlight",
      type: "integer",
      jsonPath: ".status.scaling.inFlight",
      description: "Tasks that workers work on.",
    },
    {
      name: "Limited",
      type: "string",
      jsonPath: ".status.scaling.limitedBy",
      description: "What limits the replicas.",
    },
    {
      name: "Target",
      type: "string",
      jsonPath: ".status.targetBuildId",
      description: "Build of the spec.",
      isWide: true,
    },
    {
      name: "Ramp",
      type: "integer",
      jsonPath: `.status.versions[?(@.phase=="Ramping")].rampPercent`,
      description: "Percent of new runs that go to a build on its way.",
      isWide: true,
    },
    {
      name: "Store",
      type: "string",
      jsonPath: ".spec.storeRef.name",
      description: "Store that holds the queue.",
      isWide: true,
    },
    MESSAGE_COLUMN,
    AGE_COLUMN,
  ],
  scale: {
    specReplicasPath: ".spec.replicas",
    statusReplicasPath: ".status.replicas",
    labelSelectorPath: ".status.selector",
  },
  conditions: TASK_QUEUE_CONDITIONS,
  events: TASK_QUEUE_EVENTS,
  annotations: {
    [PROMOTE_ANNOTATION]:
      "With versioning.rollout.strategy Manual: the build id that becomes the current one.",
    [DEV_MODULE_ANNOTATION]:
      "Read by `memflow dev` alone: the code, a file or folder seen from the manifest's folder.",
  },
};
