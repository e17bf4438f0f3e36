/**
 * Workflow: declares a type of run; the code is the workers', or inline for a first try.
 *
 * `memflow dev` takes the name, the queue, the arguments and the retries from here, and one annotation that means
 * nothing on a cluster.
 */
import { z } from "zod";
import { conditions, observedGeneration } from "../conditions.ts";
import type { ConditionCatalog } from "../conditions.ts";
import { duration, notLonger } from "../durations.ts";
import {
  count,
  dateTime,
  integer,
  LABEL_MAX,
  localRef,
  mapOf,
  openMap,
  runArguments,
  text,
  weightCheck,
} from "../fields.ts";
import { AGE_COLUMN, MESSAGE_COLUMN, READY_COLUMN } from "../kind-definition.ts";
import type { KindDefinition } from "../kind-definition.ts";
import { resource } from "../resource.ts";
import { neverChanges, withOperatorChecks, withRules } from "../rules.ts";
import { retentionDuration } from "./store.ts";
import { buildId, BUILDS_MAX } from "./task-queue/versioning.ts";

/** Annotation: the input of the first run that `memflow dev` starts, as JSON. It also marks the workflow to start. */
export const DEV_INPUT_ANNOTATION = "memflow.io/dev-input";

/** Together with the rest it stays below what a cluster stores for one object. */
const FILES_MAX = 16;
const FILE_LENGTH_MAX = 65_536;
const NAME_LENGTH_MAX = 128;
const RUN_TIME_MAX = "87600h";
const FILE_NAME = "^[A-Za-z0-9][-A-Za-z0-9._]*[.](ts|mts|js|mjs|json)$";

const jsonSchema = withOperatorChecks(openMap, [
  {
    message: "must be a JSON Schema",
    condition: "SchemaValid",
    reason: "InvalidSchema",
    faultOf: (schema) => {
      try {
        z.fromJSONSchema(schema);
        return undefined;
      } catch (error) {
        return `must be a JSON Schema: ${error instanceof Error ? error.message : String(error)}`;
      }
    },
  },
  weightCheck("SchemaValid", "SchemaTooLarge"),
]);

const code = withRules(
  z.strictObject({
    files: mapOf({
      value: z.string().max(FILE_LENGTH_MAX),
      entriesMax: FILES_MAX,
      keys: {
        cel: `key.matches('${FILE_NAME}') && size(key) <= 253`,
        message:
          'must have file names of letters, digits, "-", "_" and "." that end in .ts, .mts, .js, .mjs or .json',
        holds: (key) => new RegExp(FILE_NAME, "u").test(key) && key.length <= 253,
      },
    }).describe("Sources by file name; one imports another by `./name`."),
    entrypoint: text(253)
      .default("index.ts")
      .describe(
        "The file that exports the workflows; what they hand to proxyActivities are their activities.",
      ),
  }),
  [
    {
      cel: "self.entrypoint in self.files",
      message: "must be one of the files",
      field: ["entrypoint"],
      holds: (self) => Object.hasOwn(self.files, self.entrypoint),
    },
  ],
);

const retry = withRules(
  z.strictObject({
    maximumAttempts: integer(1, 10_000).default(1).describe("Executions, the first one included."),
    backoffCoefficient: z
      .number()
      .min(1)
      .max(100)
      .default(2)
      .describe("Growth of the wait from one to the next."),
    initialInterval: duration("1ms", "8760h").default("1s").describe("Wait before the second execution."),
    maximumInterval: duration("1ms", "8760h").default("120s").describe("Longest wait."),
  }),
  [notLonger("initialInterval", "maximumInterval")],
);

const spec = withRules(
  z.strictObject({
    taskQueueRef: localRef.describe("The queue whose workers run it."),
    workflowName: text(NAME_LENGTH_MAX)
      .optional()
      .describe("Name of the exported function (the resource's name when left out). Can't be changed."),
    entrypoint: text(1_024).optional().describe('Module and export, as "module#export".'),
    code: code
      .optional()
      .describe(
        "The code itself, for a first try; its TaskQueue has workers.source.code without a ConfigMap.",
      ),
    input: z
      .strictObject({ schema: jsonSchema.describe("JSON Schema of the first argument.") })
      .optional()
      .describe("What a run takes; gateway and plugin check it before anything starts."),
    output: z
      .strictObject({ schema: jsonSchema.describe("JSON Schema of the result.") })
      .optional()
      .describe("What a run gives; for readers and generated clients."),
    timeouts: withRules(
      z.strictObject({
        execution: duration("1s", RUN_TIME_MAX)
          .optional()
          .describe("Longest time of a run with its successors."),
        run: duration("1s", RUN_TIME_MAX).optional().describe("Longest time of one run."),
      }),
      [notLonger("run", "execution")],
    )
      .optional()
      .describe("When a run is timed out (never when left out)."),
    retry: retry.optional().describe("How a failed run is tried again (not at all when left out)."),
    searchAttributes: mapOf({
      value: z.enum(["Keyword", "KeywordList", "Text", "Int", "Double", "Bool", "Datetime"]),
      entriesMax: 20,
      keys: {
        cel: "key.matches('^[A-Za-z][A-Za-z0-9_]*$') && size(key) <= 63",
        message: 'must have names of <= 63 letters, digits and "_" that begin with a letter',
        holds: (key) => /^[A-Za-z][A-Za-z0-9_]*$/u.test(key) && key.length <= LABEL_MAX,
      },
    })
      .default({})
      .describe("Search attributes that its runs set, each with its type."),
    retention: z
      .strictObject({
        completed: retentionDuration.optional().describe("How long completed runs stay."),
        failed: retentionDuration.optional().describe("How long runs stay that ended otherwise."),
      })
      .optional()
      .describe("Overrides the Store's retention."),
    suspend: z.boolean().default(false).describe("Refuses new starts."),
    defaultArgs: runArguments("SchemaValid", "DefaultArgsTooLarge")
      .optional()
      .describe("Arguments of a start that brings none."),
  }),
  [neverChanges("workflowName", "make another Workflow with the new name")],
);

const status = z.strictObject({
  observedGeneration,
  registeredBuildIds: z
    .array(buildId)
    .max(BUILDS_MAX)
    .optional()
    .describe("Builds whose workers announce a function of this name."),
  runs: z
    .strictObject({
      observedAt: dateTime.optional().describe("When they were counted."),
      running: count().optional().describe("Open runs."),
      completed24h: count().optional().describe("Runs completed in the last 24 hours."),
      failed24h: count().optional().describe("Runs that ended otherwise in the last 24 hours."),
    })
    .optional()
    .describe("Runs, counted once a minute at most."),
  conditions,
});

/** The conditions of a Workflow with their reasons. */
export const WORKFLOW_CONDITIONS = {
  Ready: {
    meaning:
      "Runs can be started: the queue is there, the definition is valid, and a worker has the function, or will have it when the queue wakes.",
    reasons: {
      Ready: "Runs can be started.",
      TaskQueueNotFound: "There is no TaskQueue of that name in this Kubernetes namespace: apply it.",
      TaskQueueNotReady: "The TaskQueue's own conditions say why.",
      WorkflowNameTaken: "Another Workflow of the queue has the same workflowName: delete one of them.",
      NotRegistered: "See Registered.",
      SchemaNotValid: "See SchemaValid.",
      Suspended: "spec.suspend is set: new starts are refused.",
    },
  },
  Registered: {
    meaning: "A worker of the current build announces a function of this name.",
    reasons: {
      Announced: "The last workers announced it.",
      NotSeenYet: "No worker has run since it was applied; a start wakes the queue.",
      NotExported: "Workers run but export no such function: check workflowName and the code.",
    },
  },
  SchemaValid: {
    meaning: "What an API server can't check of the definition is in order.",
    reasons: {
      Valid: "It is, or there is nothing to check.",
      InvalidSchema: "input.schema or output.schema is no JSON Schema; the message says where.",
      SchemaTooLarge: "A schema has too many bytes.",
      DefaultArgsTooLarge: "defaultArgs has too many bytes.",
    },
  },
} as const satisfies ConditionCatalog;

/** The Events of a Workflow. */
export const WORKFLOW_EVENTS = {
  Registered: "A build announced the function for the first time.",
  NotExported: "Workers run but export no such function.",
  SchemaInvalid: "The definition was refused.",
  Suspended: "New starts are refused.",
  Resumed: "New starts are taken again.",
} as const;

/** The whole resource. */
export const workflowSchema = resource<WorkflowStatus, "Workflow", typeof spec>({
  kind: "Workflow",
  nameMax: LABEL_MAX,
  spec,
});

/** A Workflow with its defaults filled in. */
export type Workflow = z.output<typeof workflowSchema>;
/** The spec of a Workflow with its defaults filled in. */
export type WorkflowSpec = z.output<typeof spec>;
/** What the operator says of a Workflow. */
export type WorkflowStatus = z.output<typeof status>;

/** The name under which the run is started. */
export function workflowNameOf(workflow: Workflow): string {
  return workflow.spec.workflowName ?? workflow.metadata.name;
}

export const WORKFLOW: KindDefinition = {
  kind: "Workflow",
  plural: "workflows",
  singular: "workflow",
  shortNames: ["mfw"],
  description:
    "A type of run: the function's name, its queue, what it takes, how long it may take, how it is retried.",
  schema: workflowSchema,
  spec,
  status,
  printerColumns: [
    READY_COLUMN,
    { name: "Queue", type: "string", jsonPath: ".spec.taskQueueRef.name", description: "Its TaskQueue." },
    { name: "Running", type: "integer", jsonPath: ".status.runs.running", description: "Open runs." },
    {
      name: "Failed24h",
      type: "integer",
      jsonPath: ".status.runs.failed24h",
      description: "Runs of the last 24 hours that did not complete.",
    },
    {
      name: "Suspended",
      type: "boolean",
      jsonPath: ".spec.suspend",
      description: "Whether new starts are refused.",
    },
    MESSAGE_COLUMN,
    AGE_COLUMN,
  ],
  conditions: WORKFLOW_CONDITIONS,
  events: WORKFLOW_EVENTS,
  annotations: {
    [DEV_INPUT_ANNOTATION]: "Read by `memflow dev` alone: the input of the first run, as JSON.",
  },
};
