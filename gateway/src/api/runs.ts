/** Bodies, queries and answers about runs. */
import { z } from "zod";
import {
  duration,
  flag,
  json,
  NAME_LENGTH_MAX,
  name,
  nextPageToken,
  openObject,
  pageSize,
  pageToken,
  store,
  time,
  timeAnswer,
  wait,
} from "./values.ts";

const ARGUMENTS_MAX = 100;
const SEARCH_FIELDS_MAX = 100;
const TEXT_LENGTH_MAX = 4_096;

/** Statuses of a run. */
const RUN_STATUSES = [
  "running",
  "completed",
  "failed",
  "canceled",
  "terminated",
  "continued_as_new",
] as const;

const searchValue = z.union([z.string().max(TEXT_LENGTH_MAX), z.number(), z.boolean()]);

const retry = z
  .strictObject({
    maximumAttempts: z.int().min(1).max(10_000).optional(),
    backoffCoefficient: z.number().min(1).max(100).optional(),
    initialInterval: duration.optional(),
    maximumInterval: duration.optional(),
  })
  .describe("How the run is tried again when it fails (default: as its Workflow says).");

/** What is started. */
export const startBody = z
  .strictObject({
    workflow: name.describe("Name of a Workflow, or of the type that workers have."),
    input: json.optional().describe("The first argument; in place of args."),
    args: z
      .array(json)
      .max(ARGUMENTS_MAX)
      .optional()
      .describe("All arguments (default: the Workflow's defaultArgs)."),
    workflowId: name
      .optional()
      .describe("Id of the business thing; one open run has it (default: a new one)."),
    taskQueue: name
      .optional()
      .describe("Queue (default: the Workflow's). Another one needs a right on that TaskQueue."),
    entity: name.optional().describe("Type of the run's entity, by which it is found."),
    search: z
      .record(z.string().min(1).max(NAME_LENGTH_MAX), searchValue)
      .refine(
        (fields) => Object.keys(fields).length <= SEARCH_FIELDS_MAX,
        `at most ${SEARCH_FIELDS_MAX} fields`,
      )
      .optional()
      .describe("Search data that the run begins with."),
    startDelay: duration.optional().describe("Wait before the first step."),
    retention: duration
      .optional()
      .describe("How long the ended run is kept (default: as its Workflow or Store says)."),
    buildId: name.optional().describe("Only workers of this build take it."),
    retry: retry.optional(),
  })
  .meta({ id: "StartRequest", not: { required: ["input", "args"] } });

/** A run that was started. */
export const startedRun = z
  .object({
    runId: z.string(),
    workflowId: z.string(),
    workflow: z.string().describe("The type."),
    taskQueue: z.string(),
    namespace: z.string(),
    store: z.string(),
  })
  .meta({ id: "StartedRun" });

/** Why a run is parked. */
const runProblem = z
  .looseObject({ name: z.string(), code: z.string(), message: z.string() })
  .describe("Why it is parked until other code, or a person, resumes it.");

/** A run. */
export const run = z
  .object({
    runId: z.string(),
    workflowId: z.string(),
    workflow: z.string().describe("The type."),
    taskQueue: z.string(),
    status: z.enum(RUN_STATUSES),
    hook: z.boolean().describe("It runs inside another run."),
    parentRunId: z.string().nullable(),
    eventCount: z.int(),
    startedAt: timeAnswer,
    closedAt: timeAnswer.nullable(),
    problem: runProblem.nullable(),
  })
  .meta({ id: "Run" });

const listFilters = {
  store,
  workflow: name.optional().describe("Name of a Workflow, or of a type."),
  status: z.enum(RUN_STATUSES).optional(),
  taskQueue: name.optional(),
  workflowIdPrefix: name.optional().describe("Only ids that begin with it."),
  startedAfter: time.optional().describe("Started at this time or later."),
  startedBefore: time.optional().describe("Started before."),
  closedAfter: time.optional().describe("Ended at this time or later."),
  closedBefore: time.optional().describe("Ended before."),
};

/** `search.<field>=<value>` of a query, as far as zod sees it: an object under `search`. */
const searchFilter = z
  .record(z.string().regex(/^search\..{1,512}$/u), z.string().max(TEXT_LENGTH_MAX))
  .optional()
  .describe("`search.<field>=<value>`: only runs whose search data has this value.")
  .meta({ maxProperties: 10 });

/** Which runs, in which order. */
export const listQuery = z.strictObject({
  ...listFilters,
  search: searchFilter,
  orderBy: z
    .enum(["startedAt desc", "startedAt", "closedAt desc", "closedAt"])
    .default("startedAt desc")
    .describe("By closedAt: ended runs only."),
  pageSize,
  pageToken,
});

/** Which runs. */
export const countQuery = z.strictObject({ ...listFilters, search: searchFilter });

/** One page of runs. */
export const runPage = z.object({ runs: z.array(run), nextPageToken }).meta({ id: "RunPage" });

/** A run and all that it started. */
export const family = z.object({ runs: z.array(run) }).meta({ id: "Family" });

/** How many. */
export const runCount = z.object({ count: z.int() }).meta({ id: "RunCount" });

/** What made a run fail. */
const failure = z
  .looseObject({
    name: z.string(),
    message: z.string(),
    code: z.union([z.string(), z.number()]),
    stack: z.string().optional(),
  })
  .describe("The error as its class shows it, with its own fields.");

/** How a run ended. */
export const runResult = z
  .object({
    runId: z.string(),
    status: z.enum(RUN_STATUSES),
    result: json.optional().describe("What it returned; left out for undefined."),
    failure: failure.optional().describe("Why it did not complete."),
  })
  .meta({ id: "RunResult" });

/** It still runs. */
export const runPending = z
  .object({ runId: z.string(), workflowId: z.string(), status: z.literal("running") })
  .meta({ id: "RunPending" });

/** How long to wait. */
export const waitQuery = z.strictObject({ store, wait });

/** What a signal brings. */
export const signalBody = z
  .strictObject({ data: json.optional().describe("What the run's waitFor gives.") })
  .meta({ id: "SignalRequest" });

/** A signal that was recorded. */
export const signalReceipt = z
  .object({ runId: z.string(), signal: z.string() })
  .meta({ id: "SignalReceipt" });

/** How a run is canceled. */
export const cancelBody = z
  .strictObject({ reason: z.string().max(TEXT_LENGTH_MAX).optional() })
  .meta({ id: "CancelRequest" });

/** How a run is interrupted. */
export const interruptBody = z
  .strictObject({
    reason: z.string().max(TEXT_LENGTH_MAX).optional(),
    code: z
      .int()
      .min(-2_147_483_648)
      .max(2_147_483_647)
      .optional()
      .describe("Code of the failure (default 410)."),
    descend: z
      .boolean()
      .optional()
      .describe("Interrupt its children too; needs the right on all Workflows of the namespace."),
    retention: duration.optional().describe("How long the ended run is kept."),
    throw: z.boolean().optional().describe("False: who waits for the result gets none, and no failure."),
  })
  .meta({ id: "InterruptRequest" });

/** How a run is terminated. */
export const terminateBody = z
  .strictObject({ reason: z.string().max(TEXT_LENGTH_MAX).optional() })
  .meta({ id: "TerminateRequest" });

/** A run that was ended from outside. */
export const stoppedRun = z
  .object({ runId: z.string(), status: z.enum(RUN_STATUSES) })
  .meta({ id: "StoppedRun" });

/** MemFlow's state of a run. */
export const runState = z
  .looseObject({
    done: z.boolean(),
    response: json.optional(),
    $error: failure.optional(),
    workflowId: z.string(),
    jc: timeAnswer,
    ju: timeAnswer,
  })
  .meta({ id: "RunState" });

/** The memory of a run. */
export const entityAnswer = json.describe("The document, as of its last recorded change.");

/** The search data of a run. */
export const searchData = z.object({ search: z.record(z.string(), z.string()) }).meta({ id: "SearchData" });

/** One event of a history. */
const historyEvent = z
  .object({
    eventNo: z.int().describe("1-based, without gaps."),
    at: timeAnswer,
    atMs: z.number().describe("Milliseconds since 1970, with their fraction."),
    kind: z.string(),
    position: z
      .int()
      .nullable()
      .describe("The durable call that it answers; null for what came from outside."),
    name: z.string().nullable(),
    entityNo: z.int().nullable(),
    payload: json.optional(),
  })
  .meta({ id: "HistoryEvent" });

/** Which part of a history. */
export const historyQuery = z.strictObject({
  store,
  afterEvent: z.coerce
    .number()
    .int()
    .min(0)
    .max(2_147_483_647)
    .default(0)
    .describe("Only events after this number; the header Last-Event-ID says the same for a stream."),
  pageSize,
});

/** One page of a history. */
export const historyPage = z
  .object({
    events: z.array(historyEvent),
    nextAfterEvent: z
      .int()
      .optional()
      .describe("Ask with it for the events that follow; left out when there are no more by now."),
  })
  .meta({ id: "HistoryPage" });

const EXPORT_PARTS = [
  "run",
  "data",
  "entity",
  "entityLog",
  "state",
  "status",
  "timeline",
  "transitions",
] as const;

/** Which parts are exported. */
export const exportQuery = z.strictObject({
  store,
  parts: z
    .string()
    .regex(
      new RegExp(`^(${EXPORT_PARTS.join("|")})(,(${EXPORT_PARTS.join("|")}))*$`, "u"),
      `must be names of parts with commas between: ${EXPORT_PARTS.join(", ")}`,
    )
    .optional()
    .describe("Parts with commas between (default: all)."),
  values: flag.optional().describe("false leaves out what the run was given, made and said."),
});

/** A run's whole story. */
export const runExport = openObject.meta({ id: "RunExport" });
