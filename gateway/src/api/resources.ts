/** Bodies and answers about queues, Workflows, Schedules and the caller. */
import { z } from "zod";
import { json, openObject, time, timeAnswer } from "./values.ts";

const TRIGGER_LENGTH_MAX = 256;

/** What waits in a queue and what is worked on. */
export const queue = z
  .object({
    name: z.string().optional().describe("Name of the TaskQueue; left out where no manifest says one."),
    taskQueue: z.string().describe("As workers call it."),
    ready: z.int().describe("Tasks that workers could take now."),
    inFlight: z.int().describe("Tasks that workers hold."),
    oldestReadyAt: timeAnswer.nullable().describe("Since when the oldest of them waits."),
    nextTimerAt: timeAnswer.nullable().describe("When the next run that sleeps is due."),
    workers: z.int().describe("Living workers that serve it."),
    scaling: openObject
      .optional()
      .describe("`status.scaling` of the TaskQueue: the last decision on its replicas."),
  })
  .meta({ id: "Queue" });

/** All queues. */
export const queueList = z.object({ queues: z.array(queue) }).meta({ id: "QueueList" });

/** What a manifest says of a type of run. */
export const workflow = z
  .object({
    name: z.string().describe("Name of the Workflow."),
    workflow: z.string().describe("The type, as workers call it."),
    taskQueue: z.string(),
    suspended: z.boolean().describe("It takes no new starts."),
    inputSchema: openObject.optional().describe("JSON Schema of the first argument."),
    outputSchema: openObject.optional().describe("JSON Schema of the result."),
    timeouts: openObject.optional(),
    retry: openObject.optional(),
    retention: openObject.optional(),
    searchAttributes: z.record(z.string(), z.string()).optional(),
    defaultArgs: z.array(json).optional(),
  })
  .meta({ id: "Workflow" });

/** All Workflows that the caller may see. */
export const workflowList = z.object({ workflows: z.array(workflow) }).meta({ id: "WorkflowList" });

/** A schedule and what it has done. */
export const schedule = z
  .object({
    name: z.string(),
    workflow: z.string().describe("The type that it starts."),
    taskQueue: z.string(),
    paused: z.boolean().describe("No time fires."),
    pausedBy: z
      .enum(["manifest", "request", "failure"])
      .optional()
      .describe("Why: spec.paused, a request to this API, or a run that did not complete."),
    overlap: z.string(),
    when: openObject.describe("Its times: cron, everyMs, offsetMs, timeZone, jitterMs, startAtMs, endAtMs."),
    nextFireTimes: z.array(timeAnswer).describe("The next five."),
    lastFireTime: timeAnswer.nullable(),
    fired: z.int(),
    missed: z.int(),
    skipped: z.int(),
    running: z.int().describe("Open runs of it."),
    backfills: z.array(openObject).describe("Those that are asked for and how far they are."),
    fault: z.string().nullable().describe("Why it could not be fired at the last look."),
  })
  .meta({ id: "Schedule" });

/** All schedules that the caller may see. */
export const scheduleList = z.object({ schedules: z.array(schedule) }).meta({ id: "ScheduleList" });

/** How a schedule is triggered. */
export const triggerBody = z
  .strictObject({
    trigger: z
      .string()
      .min(1)
      .max(TRIGGER_LENGTH_MAX)
      .optional()
      .describe("A value of yours: the same one again starts nothing (default: a new one)."),
  })
  .meta({ id: "TriggerRequest" });

/** A span of the past to make up for. */
export const backfillBody = z
  .strictObject({
    name: z
      .string()
      .regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/u, 'must be lower-case letters, digits and "-"')
      .describe("A backfill is done once under its name."),
    startAt: time.describe("First time that is made up for."),
    endAt: time.describe("Last time that is made up for."),
    overlap: z
      .enum(["Skip", "BufferOne", "BufferAll", "CancelOther", "TerminateOther", "AllowAll"])
      .default("AllowAll"),
  })
  .meta({ id: "BackfillRequest" });

/** Who asks. */
export const whoami = z
  .object({
    user: z.string(),
    groups: z.array(z.string()),
    via: z.enum(["token", "certificate", "key", "loopback"]),
    impersonatedBy: z.string().optional(),
  })
  .meta({ id: "Whoami" });
