import { expect, test } from "vitest";
import { EVENT_KIND } from "../../core/events.ts";
import { makeScratchStore } from "../scratch-store.ts";
import { checkOutcomes } from "./outcomes.ts";

test("a history with one outcome for each position is sound", async () => {
  const store = await makeScratchStore();
  const runId = await store.insertRun();
  await store.insertEvent({ run_id: runId, event_no: 1, kind: EVENT_KIND.childStarted, position: 0 });
  await store.insertEvent({ run_id: runId, event_no: 2, kind: EVENT_KIND.childCompleted, position: 0 });
  await store.insertEvent({ run_id: runId, event_no: 3, kind: EVENT_KIND.signalReceived });
  await store.insertEvent({ run_id: runId, event_no: 4, kind: EVENT_KIND.attemptFailed, position: 1 });
  await store.insertEvent({ run_id: runId, event_no: 5, kind: EVENT_KIND.activityCompleted, position: 1 });

  expect(await store.look(checkOutcomes)).toEqual([]);
});

test("a position that was answered twice is found", async () => {
  const store = await makeScratchStore();
  const runId = await store.insertRun();
  await store.insertEvent({ run_id: runId, event_no: 1, kind: EVENT_KIND.activityCompleted, position: 7 });
  await store.insertEvent({ run_id: runId, event_no: 2, kind: EVENT_KIND.activityFailed, position: 7 });

  expect(await store.look(checkOutcomes)).toEqual([
    `I1: run "${runId}": position 7 has 2 outcomes: activity_completed, activity_failed`,
  ]);
});

test("a gap in a history, and an event that its run does not count, are found", async () => {
  const store = await makeScratchStore();
  const gap = await store.insertRun();
  await store.insertEvent({ run_id: gap, event_no: 1, kind: EVENT_KIND.signalReceived });
  await store.insertEvent({ run_id: gap, event_no: 3, kind: EVENT_KIND.signalReceived });
  const uncounted = await store.insertRun({ status: "completed" });
  await store.insertEvent({ run_id: uncounted, event_no: 1, kind: EVENT_KIND.signalReceived });
  await store.sql("update :schema.runs set event_count = 0 where run_id = $1", [uncounted]);

  const findings = await store.look(checkOutcomes);

  expect(findings.toSorted()).toEqual(
    [
      `I1: run "${gap}": says 2 events, history has 2, the last is 3`,
      `I1: run "${uncounted}": says 0 events, history has 1, the last is 1`,
    ].toSorted(),
  );
});
