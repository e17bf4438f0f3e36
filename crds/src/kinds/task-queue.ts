/**
 * TaskQueue: a queue in a Store, and the workers that serve it.
 *
 * `memflow dev` runs child processes in place of the Deployment: it takes the bounds of `scaling`, the concurrency, the
 * plain environment and the drain time from here, and the code from a folder beside the manifest in place of `source`.
 */
import { z } from "zod";
import {
  API_VERSION,
  duration,
  integer,
  keyRef,
  localRef,
  metadataNamed,
  resourceName,
  text,
} from "../fields.ts";

/** Annotation: the code for `memflow dev`, a file or folder seen from the manifest's folder (default: that folder). */
export const DEV_MODULE_ANNOTATION = "memflow.io/dev-module";

/** A Deployment is called `<queue>-<8 characters>`, and its pods need room for their own suffix. */
const TASK_QUEUE_NAME_MAX = 40;

const scaling = z
  .strictObject({
    mode: z
      .enum(["Operator", "External", "Manual"])
      .default("Operator")
      .describe("Who writes the number of replicas (default: Operator)."),
    minReplicas: integer(0, 1_000).default(0).describe("Least replicas, 0 to 1000 (default: 0)."),
    maxReplicas: integer(1, 1_000).default(10).describe("Most replicas, 1 to 1000 (default: 10)."),
    targetBacklogPerReplica: integer(1, 1_000_000)
      .default(10)
      .describe("Ready tasks that one replica should find (default: 10)."),
    targetScheduleToStart: duration
      .optional()
      .describe("Age of the oldest ready task that asks for more replicas."),
    slotsPerReplica: integer(1, 100_000)
      .default(100)
      .describe("Tasks that one replica works on at once (default: 100)."),
    targetSlotUtilization: integer(10, 100)
      .default(75)
      .describe("Percent of the slots in use, 10 to 100 (default: 75)."),
    timerLookahead: duration
      .default("30s")
      .describe("How long before a due timer workers are there (default: 30s)."),
    pollInterval: duration
      .default("5s")
      .describe("How often the queue is observed without a wake-up (default: 5s)."),
    cooldown: duration
      .default("5m")
      .describe("How long a queue is idle before it goes to zero (default: 5m)."),
  })
  .refine((value) => value.minReplicas <= value.maxReplicas, {
    message: "must be <= maxReplicas",
    path: ["minReplicas"],
  });

const source = z
  .strictObject({
    image: z
      .strictObject({
        ref: text(1_024).describe("Image with the workflows, best by digest."),
        pullPolicy: z.enum(["Always", "IfNotPresent", "Never"]).optional(),
        pullSecrets: z.array(localRef).max(10).optional(),
      })
      .optional(),
    code: z
      .strictObject({
        configMapRef: localRef.describe("ConfigMap with the sources, at most 1 MiB."),
        entrypoint: text(253).default("index.mjs").describe("File in it (default: index.mjs)."),
        runtimeImage: text(1_024).optional(),
      })
      .optional()
      .describe("Code inline, for a first try."),
    artifact: z
      .strictObject({
        image: text(1_024).describe("Image volume with the code."),
        path: text(1_024).default("/app").describe("Folder in it (default: /app)."),
      })
      .optional(),
  })
  .refine(
    (value) => [value.image, value.code, value.artifact].filter((one) => one !== undefined).length === 1,
    {
      message: "must have exactly one of image, code and artifact",
    },
  );

const environmentVariable = z
  .strictObject({
    name: z
      .string()
      .min(1)
      .max(253)
      .regex(/^[A-Za-z_][A-Za-z0-9_]*$/u, 'must be letters, digits and "_", and not begin with a digit'),
    value: z.string().max(32_768).optional(),
    valueFrom: z
      .strictObject({ secretKeyRef: keyRef.optional(), configMapKeyRef: keyRef.optional() })
      .optional(),
  })
  .refine((value) => value.value === undefined || value.valueFrom === undefined, {
    message: "must not have both value and valueFrom",
  });

const quantity = z
  .string()
  .max(32)
  .regex(/^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$/u, 'must be a quantity like "250m", "1" or "512Mi"');
const quantities = z.strictObject({ cpu: quantity.optional(), memory: quantity.optional() });

const workers = z.strictObject({
  source: source.describe("Where the code comes from."),
  concurrency: z
    .strictObject({
      workflowTasks: integer(1, 100_000)
        .default(100)
        .describe("Runs held at once per worker (default: 100)."),
      activities: integer(1, 100_000).default(100).describe("Activities at once per worker (default: 100)."),
    })
    .optional(),
  env: z.array(environmentVariable).max(100).default([]).describe("Environment of the workers."),
  resources: z.strictObject({ requests: quantities.optional(), limits: quantities.optional() }).optional(),
  serviceAccountName: resourceName.optional(),
  nodeSelector: z.record(z.string().max(317), z.string().max(63)).optional(),
  drain: z
    .strictObject({
      timeout: duration
        .default("60s")
        .describe("How long activities in flight may finish when a worker stops (default: 60s)."),
    })
    .optional(),
});

const versioning = z.strictObject({
  buildId: z
    .string()
    .min(1)
    .max(63)
    .regex(/^[a-zA-Z0-9][a-zA-Z0-9._-]*$/u, 'must be letters, digits, ".", "_" and "-"')
    .optional()
    .describe("Name of the build (default: a hash of the template)."),
  strategy: z
    .enum(["Pinned", "AutoUpgrade", "InPlace"])
    .default("Pinned")
    .describe("Which build a run stays with (default: Pinned)."),
});

const spec = z
  .strictObject({
    storeRef: localRef.describe("The Store that holds the queue."),
    queueName: text(128).optional().describe("Name in the Store (default: the resource's name)."),
    replicas: integer(0, 1_000).optional().describe("Replicas with mode Manual; written through /scale."),
    scaling: scaling.prefault({}),
    workers,
    versioning: versioning.optional(),
  })
  .refine((value) => value.scaling.mode !== "Manual" || value.replicas !== undefined, {
    message: "is required with scaling.mode Manual",
    path: ["replicas"],
  });

/** The whole resource. */
export const taskQueueSchema = z.strictObject({
  apiVersion: z.literal(API_VERSION),
  kind: z.literal("TaskQueue"),
  metadata: metadataNamed(resourceName.max(TASK_QUEUE_NAME_MAX)),
  spec,
});

/** A TaskQueue with its defaults filled in. */
export type TaskQueue = z.infer<typeof taskQueueSchema>;

/** The queue's name in its Store: what workers and clients say. */
export function queueNameOf(taskQueue: TaskQueue): string {
  return taskQueue.spec.queueName ?? taskQueue.metadata.name;
}
