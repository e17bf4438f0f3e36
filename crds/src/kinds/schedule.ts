/**
 * Schedule: starts runs of a Workflow at given times.
 *
 * It becomes a row in the Workflow's Store; any worker fires it under a lock, so it goes on while the operator is away.
 */
import { z } from "zod";
import { conditions, observedGeneration } from "../conditions.ts";
import type { ConditionCatalog } from "../conditions.ts";
import { duration, shorter } from "../durations.ts";
import {
  count,
  dateTime,
  earlier,
  integer,
  LABEL_MAX,
  listByKey,
  localRef,
  resourceName,
  runArguments,
  text,
  textSet,
} from "../fields.ts";
import { AGE_COLUMN, MESSAGE_COLUMN, READY_COLUMN } from "../kind-definition.ts";
import type { KindDefinition } from "../kind-definition.ts";
import { formedText } from "../patterns.ts";
import { resource } from "../resource.ts";
import { withOperatorChecks, withRules } from "../rules.ts";
import { cronExpression } from "./cron.ts";

/** Annotation: fires once for every new value, whatever the times say. */
export const TRIGGER_ANNOTATION = "memflow.io/trigger";

const YEAR = "8760h";
const BACKFILLS_MAX = 10;
const NEXT_TIMES_MAX = 5;

const overlap = z.enum(["Skip", "BufferOne", "BufferAll", "CancelOther", "TerminateOther", "AllowAll"]);

const timeZone = withOperatorChecks(
  formedText({
    max: 64,
    pattern: /^[A-Za-z][A-Za-z0-9_+-]*([/][A-Za-z0-9_+-]+)*$/u,
    message: 'must be a time zone like "Europe/Berlin" or "UTC"',
  }),
  [
    {
      message: "must be a time zone that the IANA database has",
      condition: "Ready",
      reason: "UnknownTimeZone",
      faultOf: (zone) => (isTimeZone(zone) ? undefined : `must be a time zone that the IANA database has`),
    },
  ],
);

function isTimeZone(zone: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: zone }).resolvedOptions().timeZone !== "";
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

const when = withRules(
  z.strictObject({
    cron: textSet(cronExpression, 1, 10)
      .optional()
      .describe("Cron expressions; it fires when one of them does."),
    every: duration("1s", YEAR).optional().describe("Interval, counted from the Unix epoch."),
    offset: duration("0s", YEAR).optional().describe("Shifts `every`; shorter than it."),
    timeZone: timeZone.default("UTC").describe("Time zone of `cron`."),
    jitter: duration("0s", "24h")
      .default("0s")
      .describe(
        "Each time is put off by a random time up to this, so that schedules don't all fire at once.",
      ),
    startAt: dateTime.optional().describe("No time before it."),
    endAt: dateTime.optional().describe("No time after it."),
  }),
  [
    {
      cel: "has(self.cron) || has(self.every)",
      message: "must have cron, every, or both",
      holds: (self) => self.cron !== undefined || self.every !== undefined,
    },
    {
      cel: "!has(self.offset) || has(self.every)",
      message: "must be left out without every",
      field: ["offset"],
      holds: (self) => self.offset === undefined || self.every !== undefined,
    },
    shorter("offset", "every"),
    earlier("startAt", "endAt"),
  ],
);

const backfill = withRules(
  z.strictObject({
    name: resourceName.describe("Name; a backfill is done once under its name."),
    startAt: dateTime.describe("First time that is made up for."),
    endAt: dateTime.describe("Last time that is made up for."),
    overlap: overlap.default("AllowAll").describe("What happens when runs of it overlap."),
  }),
  [
    earlier("startAt", "endAt"),
    {
      cel: "self == oldSelf",
      message: "can't be changed: add another backfill under a new name",
      isTransition: true,
      holds: (self, oldSelf) =>
        self.startAt === oldSelf.startAt && self.endAt === oldSelf.endAt && self.overlap === oldSelf.overlap,
    },
  ],
);

const spec = z.strictObject({
  workflowRef: localRef.describe("The Workflow of which runs are started."),
  args: runArguments("Ready", "ArgsTooLarge")
    .optional()
    .describe("Arguments of each run (the Workflow's defaultArgs when left out)."),
  workflowIdPrefix: text(128)
    .optional()
    .describe("Runs are called `<prefix>-<time>` (the resource's name when left out)."),
  when: when.describe("At which times."),
  overlap: overlap
    .default("Skip")
    .describe(
      "What happens at a time while an earlier run is open: it is left out, waits (one or all), ends the open one, or joins it.",
    ),
  catchupWindow: duration("10s", YEAR)
    .default("1m")
    .describe("How late a time is still made up for, after nobody was there to fire it."),
  pauseOnFailure: z.boolean().default(false).describe("Pauses after a run that did not complete."),
  paused: z.boolean().default(false).describe("No time fires; triggers and backfills do."),
  limitRuns: integer(1, 1_000_000_000).optional().describe("Runs after which no time fires any more."),
  backfills: listByKey(backfill, "name", BACKFILLS_MAX)
    .default([])
    .describe("Spans of the past whose times are made up for, each once."),
  deletionPolicy: z
    .enum(["Delete", "Orphan"])
    .default("Delete")
    .describe("Whether the schedule in the Store goes with the resource; its runs stay."),
});

const status = z.strictObject({
  observedGeneration,
  lastFireTime: dateTime.optional().describe("The last time that fired, or at which the trigger did."),
  nextFireTimes: z.array(dateTime).max(NEXT_TIMES_MAX).optional().describe("The next times."),
  fired: count().optional().describe("Times that fired."),
  missed: count().optional().describe("Times that fell out of the catch-up window."),
  skipped: count().optional().describe("Times left out because a run was open."),
  running: count().optional().describe("Open runs."),
  lastTrigger: text(256).optional().describe("Value of the annotation memflow.io/trigger that was acted on."),
  backfills: listByKey(
    z.strictObject({
      name: resourceName.describe("Name of the backfill."),
      phase: z.enum(["Pending", "Running", "Completed", "Failed"]).optional().describe("How far it is."),
      started: count().optional().describe("Runs that it started."),
    }),
    "name",
    BACKFILLS_MAX,
  )
    .optional()
    .describe("How far each backfill is."),
  conditions,
});

/** The conditions of a Schedule with their reasons. */
export const SCHEDULE_CONDITIONS = {
  Ready: {
    meaning: "The schedule is in the Store and fires.",
    reasons: {
      Scheduled: "The next times are known.",
      WorkflowNotFound: "There is no Workflow of that name in this Kubernetes namespace: apply it.",
      WorkflowNotReady: "The Workflow's own conditions say why. No time fires.",
      StoreNotReady:
        "The Store's own conditions say why, or its database does not answer; what is in it goes on.",
      UnknownTimeZone: "The IANA database has no such time zone.",
      ArgsTooLarge: "args has too many bytes.",
      Finished: "endAt is over, or limitRuns is reached.",
      FiringFailed: "The last try to fire it failed; the message says why. It is tried again each minute.",
      NotValid: "It was stored under other definitions of the kind; the message names the field.",
    },
  },
  Paused: {
    meaning: "No time fires.",
    reasons: {
      Running: "It is not paused.",
      PausedBySpec: "spec.paused is set.",
      PausedByRequest: "A request to the gateway paused it: resume it there.",
      PausedOnFailure:
        "A run did not complete and pauseOnFailure is set: set spec.paused to true and back to false.",
    },
  },
} as const satisfies ConditionCatalog;

/** The Events of a Schedule. */
export const SCHEDULE_EVENTS = {
  Fired: "A run was started.",
  Skipped: "A time was left out because a run was open.",
  Missed: "A time fell out of the catch-up window.",
  Triggered: "A run was started by the annotation memflow.io/trigger.",
  BackfillStarted: "A backfill began.",
  BackfillCompleted: "A backfill is done.",
  Paused: "No time fires any more.",
  Resumed: "Times fire again.",
} as const;

/** The whole resource. */
export const scheduleSchema = resource<ScheduleStatus, "Schedule", typeof spec>({
  kind: "Schedule",
  nameMax: LABEL_MAX,
  spec,
});

/** A Schedule with its defaults filled in. */
export type Schedule = z.output<typeof scheduleSchema>;
/** The spec of a Schedule with its defaults filled in. */
export type ScheduleSpec = z.output<typeof spec>;
/** What the operator says of a Schedule. */
export type ScheduleStatus = z.output<typeof status>;

/** The first part of the workflow ids of its runs. */
export function workflowIdPrefixOf(schedule: Schedule): string {
  return schedule.spec.workflowIdPrefix ?? schedule.metadata.name;
}

export const SCHEDULE: KindDefinition = {
  kind: "Schedule",
  plural: "schedules",
  singular: "schedule",
  shortNames: ["mfsch"],
  description: "Starts runs of a Workflow at given times.",
  schema: scheduleSchema,
  spec,
  status,
  printerColumns: [
    READY_COLUMN,
    { name: "Workflow", type: "string", jsonPath: ".spec.workflowRef.name", description: "Its Workflow." },
    { name: "Paused", type: "boolean", jsonPath: ".spec.paused", description: "Whether spec.paused is set." },
    {
      name: "Last",
      type: "date",
      jsonPath: ".status.lastFireTime",
      description: "The last time that fired, or at which the trigger did.",
    },
    { name: "Next", type: "string", jsonPath: ".status.nextFireTimes[0]", description: "The next time." },
    { name: "Running", type: "integer", jsonPath: ".status.running", description: "Open runs." },
    {
      name: "Missed",
      type: "integer",
      jsonPath: ".status.missed",
      description: "Times that fell out of the catch-up window.",
    },
    {
      name: "Cron",
      type: "string",
      jsonPath: ".spec.when.cron[0]",
      description: "The first cron expression.",
      isWide: true,
    },
    {
      name: "Every",
      type: "string",
      jsonPath: ".spec.when.every",
      description: "The interval.",
      isWide: true,
    },
    MESSAGE_COLUMN,
    AGE_COLUMN,
  ],
  conditions: SCHEDULE_CONDITIONS,
  events: SCHEDULE_EVENTS,
  annotations: {
    [TRIGGER_ANNOTATION]:
      "Starts a run once for every new value (1 to 256 characters), at once and also while paused; spec.overlap holds for it too.",
  },
};
