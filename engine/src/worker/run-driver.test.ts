/** What becomes of a run's commands and timers, without a worker around it. */
import { expect, test } from "vitest";
import { HAND_FACTS, durable } from "../testing/hand-driven-run.ts";
import { RunMachine } from "../replay/run-machine.ts";
import type { Invoke } from "../replay/run-machine.ts";
import { ActivityExecutor } from "./activity-executor.ts";
import { contributionOf } from "./flush-batch.ts";
import { OwnedRun } from "./owned-run.ts";
import { guardProcess } from "./process-guards.ts";
import { RunDriver } from "./run-driver.ts";

const MARKS = { enter: (): void => undefined, leave: (): void => undefined };

/** A run that has begun, and its driver; nothing is ever written. */
async function begun(invoke: Invoke): Promise<{ readonly run: OwnedRun; readonly driver: RunDriver }> {
  await guardProcess();
  const driver = new RunDriver({
    workerId: "w",
    executor: new ActivityExecutor({
      workerId: "w",
      slots: 1,
      marks: MARKS,
      onFree: () => undefined,
      onLate: () => undefined,
    }),
    marks: MARKS,
    nowMs: () => HAND_FACTS.startedMs,
    alive: () => true,
    activity: () => undefined,
    mark: () => undefined,
    feed: () => undefined,
    diagnose: () => undefined,
    repeat: () => undefined,
    parked: () => undefined,
    timersChanged: () => undefined,
  });
  const machine = new RunMachine(HAND_FACTS, invoke);
  const facts = HAND_FACTS;
  const run = new OwnedRun({
    facts,
    epoch: 1,
    machine,
    lane: 0,
    suspect: false,
    eventCount: 0,
    blamed: false,
  });
  await new Promise<void>((resolve) => {
    setImmediate(() => {
      driver.begin(run, [], []);
      resolve();
    });
  });
  return { run, driver };
}

test("a sleep never ends before its time, also when the measured clock of the database goes back meanwhile", async () => {
  const { run, driver } = await begun(async () => await durable.sleep(1_000));
  const dueMs = HAND_FACTS.startedMs + 1_000;
  driver.fire(dueMs - 1);
  expect(run.pending).toHaveLength(0);
  driver.fire(dueMs);
  const contribution = contributionOf(run, { nowMs: dueMs - 7, eventsMax: 1, bytesMax: 1 });
  expect(contribution?.events).toMatchObject([{ position: 0, atMs: dueMs }]);
});

test("a timer fires once, and not at all when it was taken back", async () => {
  const { run, driver } = await begun(async () => {
    clearTimeout(setTimeout(() => undefined, 500));
    await durable.sleep(1_000);
  });
  driver.fire(HAND_FACTS.startedMs + 2_000);
  driver.fire(HAND_FACTS.startedMs + 2_000);
  expect(run.pending.map(({ draft }) => draft.position)).toEqual([1]);
});
