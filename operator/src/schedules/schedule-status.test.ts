/** What is told of the difference between two statuses. */
import type { ScheduleStatus } from "@memflow/crds";
import type { ScheduleRecord } from "@memflow/engine/provision";
import { expect, test } from "vitest";
import { claimsOf, statusOf, storiesOf } from "./schedule-status.ts";

const RECORD: ScheduleRecord = {
  scheduleId: "default/nightly",
  origin: "uid",
  orphaned: false,
  revision: 1,
  running: 1,
  fault: null,
  definition: {
    when: {
      cron: ["0 3 * * *"],
      everyMs: null,
      offsetMs: 0,
      timeZone: "UTC",
      jitterMs: 0,
      startAtMs: null,
      endAtMs: null,
    },
    run: {
      workflowIdPrefix: "nightly",
      workflowName: "report",
      taskQueue: "work",
      input: null,
      options: null,
      retentionSeconds: 60,
    },
    overlap: "Skip",
    catchupWindowMs: 60_000,
    pauseOnFailure: true,
    paused: false,
    limitRuns: null,
    backfills: [],
    trigger: null,
  },
  state: {
    doneUntilMs: Date.parse("2026-01-03T03:00Z"),
    lastFireMs: Date.parse("2026-01-03T03:00Z"),
    fired: 5,
    missed: 3,
    skipped: 1,
    pausedOnFailure: true,
    lastTrigger: null,
    buffer: [],
    backfills: [],
  },
};

const BEFORE: ScheduleStatus = { fired: 3, missed: 0, skipped: 0, conditions: [] };

test("each thing that happened is told once, with its count", () => {
  const claims = claimsOf(RECORD, { hasFinished: false, pausedBySpec: false });
  const status = statusOf(RECORD, { nextTimes: [], backfillNames: ["waits"] });
  expect(status.backfills).toEqual([{ name: "waits", phase: "Pending", started: 0 }]);
  expect(storiesOf(BEFORE, status, { claims, record: RECORD })).toEqual([
    { type: "Normal", reason: "Fired", note: "started 2 runs, the last for 2026-01-03T03:00:00Z" },
    { type: "Normal", reason: "Skipped", note: "left out a time: a run was open (overlap: Skip)" },
    {
      type: "Warning",
      reason: "Missed",
      note: "3 times fell out of the catch-up window of 60 s: nobody was there to fire",
    },
    {
      type: "Warning",
      reason: "Paused",
      note: "a run did not complete: set spec.paused to true and back to false to go on",
    },
  ]);
  expect(storiesOf({ ...BEFORE, ...status }, status, { claims: [], record: RECORD })).toEqual([]);
});

test("a try that failed is told with its reason", () => {
  const claims = claimsOf({ ...RECORD, fault: "no such zone" }, { hasFinished: false, pausedBySpec: true });
  expect(claims).toEqual([
    {
      type: "Ready",
      status: "False",
      reason: "FiringFailed",
      message: "the last try to fire it failed: no such zone",
    },
    { type: "Paused", status: "True", reason: "PausedBySpec", message: "spec.paused is set" },
  ]);
});
