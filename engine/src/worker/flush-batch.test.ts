/** What a run gives to a flush: bounded, in order, and only when its rows would change. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { EVENT_KIND } from "../core/events.ts";
import { normalizeRetryPolicy } from "../core/retry-policy.ts";
import { HAND_FACTS, HandDrivenRun, durable } from "../testing/hand-driven-run.ts";
import { contributionOf, flushValues } from "./flush-batch.ts";
import { OwnedRun } from "./owned-run.ts";
import type { LocalActivity, PendingEvent, RunContribution } from "./owned-run.ts";

const NOW_MS = HAND_FACTS.startedMs + 5_000.7;
const LIMITS = { nowMs: NOW_MS, eventsMax: 100, bytesMax: 1_000_000 };

/** A run that waits for two signals, and whose row says that it does. */
async function waitingRun(code?: () => unknown): Promise<OwnedRun> {
  const { machine } = await HandDrivenRun.start(
    code ?? (async () => await Promise.all([durable.waitFor("a"), durable.waitFor("b")])),
  );
  const facts = machine.facts;
  const run = new OwnedRun({
    facts,
    epoch: 1,
    machine,
    lane: 0,
    suspect: false,
    eventCount: 3,
    blamed: false,
  });
  Object.assign(run.recorded, { busy: false, wakeAtMs: null });
  return run;
}

function eventOf(payload: string | null): PendingEvent {
  return { draft: { kind: EVENT_KIND.signalReceived, position: null, name: "s", payload } };
}

function activityOf(state: LocalActivity["state"], maximumAttempts = 3): LocalActivity {
  const policy = normalizeRetryPolicy({ maximumAttempts }, "retryPolicy");
  const command = { kind: "activity", position: 7, name: "x", args: null, taskQueue: null, policy } as const;
  return { command, attempt: 1, state, written: false, sinceMs: 0, failure: null, abort: undefined };
}

const contribute = (run: OwnedRun, limits = LIMITS): RunContribution | undefined =>
  contributionOf(run, limits);

test("a run whose row would not change gives nothing", async () => {
  expect(contribute(await waitingRun())).toBeUndefined();
});

test("events are numbered on from the recorded ones, without gaps, at one whole millisecond that never goes back", async () => {
  const run = await waitingRun();
  run.pending.push(eventOf("1"), eventOf("2"));
  expect(contribute(run)?.events).toMatchObject([
    { eventNo: 4, atMs: Math.floor(NOW_MS), payload: "1" },
    { eventNo: 5, atMs: Math.floor(NOW_MS), payload: "2" },
  ]);
  run.lastEventMs = NOW_MS + 60_000;
  expect(contribute(run)?.events[0]?.atMs).toBe(Math.floor(NOW_MS + 60_000));
});

test("however events and limits lie, flushes take all of them in order, within the limits or one at a time", async () => {
  const sizes = fc.array(fc.nat(50), { maxLength: 30 });
  const bounds = fc.record({
    eventsMax: fc.integer({ min: 1, max: 10 }),
    bytesMax: fc.integer({ min: 1, max: 60 }),
  });
  const run = await waitingRun();
  fc.assert(
    fc.property(sizes, bounds, (list, { eventsMax, bytesMax }) => {
      run.eventCount = 0;
      run.pending = list.map((size) => eventOf("x".repeat(size)));
      const wanted = [...run.pending];
      const taken: PendingEvent[] = [];
      while (run.pending.length > 0) {
        const contribution = contributionOf(run, { nowMs: NOW_MS, eventsMax, bytesMax });
        const { events = [], pendings = [], eventCount = 0 } = contribution ?? {};
        expect(events.length).toBeGreaterThan(0);
        expect(events.length).toBeLessThanOrEqual(eventsMax);
        const bytes = events.reduce((sum, { payload }) => sum + (payload?.length ?? 0), 0);
        if (events.length > 1) expect(bytes).toBeLessThanOrEqual(bytesMax);
        expect(eventCount).toBe(taken.length + events.length);
        taken.push(...pendings);
        run.pending.splice(0, events.length);
        run.eventCount = eventCount;
      }
      expect(taken).toEqual(wanted);
    }),
  );
});

test("one event at a time is given while Postgres refuses one of several, until none is left", async () => {
  const run = await waitingRun();
  run.oneByOne = true;
  run.pending.push(eventOf("1"), eventOf("2"));
  expect(contribute(run)?.events).toHaveLength(1);
  run.pending = [];
  contribute(run);
  expect(run.oneByOne).toBe(false);
});

test("the end goes with the last events, and not before what the code has not seen", async () => {
  const run = await waitingRun();
  run.end = { status: "completed", result: "1", failure: null };
  run.pending.push(eventOf("1"), eventOf("2"));
  expect(contribute(run, { ...LIMITS, eventsMax: 1 })?.end).toBeUndefined();
  expect(contribute(run)?.end).toEqual(run.end);
  run.unapplied.push({ ...eventOf("1").draft, eventNo: 1, atMs: 0, entityNo: null });
  expect(contribute(run)?.end).toBeUndefined();
});

test("waits get their rows once the code has seen everything, without those that are over", async () => {
  const run = await waitingRun();
  run.newWaits.set(0, "a").set(1, "b").set(2, "over");
  run.pending.push(eventOf("1"));
  expect(contribute(run)?.waits).toEqual([]);
  run.pending = [];
  run.unread = true;
  expect(contribute(run)?.waits ?? []).toEqual([]);
  run.unread = false;
  expect(contribute(run)?.waits).toEqual([
    { position: 0, signalId: "a" },
    { position: 1, signalId: "b" },
  ]);
});

test("the row of a wait that is over goes", async () => {
  const run = await waitingRun();
  run.waitRows.set(0, "a").set(9, "over");
  expect(contribute(run)?.waitsDone).toEqual([{ position: 9, signalId: "over" }]);
});

test.each([
  ["running", true],
  ["waiting", true],
  ["writing", true],
  ["backoff", false],
  ["remote", false],
] as const)("an attempt that is %s makes its run busy: %s", async (state, busy) => {
  const run = await waitingRun();
  Object.assign(run.recorded, { busy: !busy, wakeAtMs: null });
  run.activities.set(7, { ...activityOf(state), sinceMs: NOW_MS + 9 });
  expect(contribute(run)).toMatchObject({ busy, wakeAtMs: state === "backoff" ? NOW_MS + 9 : null });
});

test("a run that rests says when it goes on by itself: the earliest of its timers", async () => {
  const run = await waitingRun();
  run.timers.set(1, NOW_MS + 50).set(2, NOW_MS + 20);
  expect(contribute(run)?.wakeAtMs).toBe(NOW_MS + 20);
});

test("what is written once is given once", async () => {
  const run = await waitingRun();
  run.activitiesDone.push(1);
  run.discarded.push("5");
  run.cancelsHooks = true;
  expect(contribute(run)).toMatchObject({ activitiesDone: [1], discarded: ["5"], cancelsHooks: true });
  expect(contribute(run)).toBeUndefined();
});

test("a run with a problem leaves with the problem alone; while its place is looked for it gives nothing", async () => {
  const run = await waitingRun();
  run.pending.push(eventOf("1"));
  run.problem = { name: "DeterminismViolation", code: "DETERMINISM_VIOLATION", message: "m" };
  run.diagnosing = true;
  expect(contribute(run)).toBeUndefined();
  run.diagnosing = false;
  expect(contribute(run)).toMatchObject({
    events: [],
    end: undefined,
    eventCount: 3,
    release: { ready: false, problem: run.problem },
  });
});

test("a run that is given up goes when no attempt of it runs here, ready where work is left", async () => {
  const run = await waitingRun();
  run.releasing = true;
  run.activities.set(7, activityOf("running"));
  expect(contribute(run)?.release).toBeUndefined();
  run.activities.set(7, activityOf("waiting"));
  expect(contribute(run)?.release).toEqual({ ready: true, problem: undefined });
  run.activities.clear();
  expect(contribute(run)?.release).toEqual({ ready: false, problem: undefined });
});

test("a single attempt that has not begun leaves no row when its run is given up", async () => {
  const run = await waitingRun();
  run.releasing = true;
  run.activities.set(7, { ...activityOf("writing", 1), written: true });
  expect(contribute(run)).toMatchObject({ activitiesDone: [7], writes: [] });
});

test("a busy run's memory is written when its tail has outgrown it, and at the end", async () => {
  const run = await waitingRun();
  run.unread = true;
  run.machine.context.entity.change(1, '{"op":"set","value":{"a":1}}');
  run.changedBytes = 100;
  expect(contribute(run)?.snapshot).toBeUndefined();
  run.changedBytes = 20_000;
  expect(contribute(run)?.snapshot).toEqual({ no: 1, document: '{"a":1}', search: "{}" });
  run.snapshotNo = 1;
  expect(contribute(run)?.snapshot).toBeUndefined();
  run.machine.context.entity.change(2, '{"op":"search.set","fields":{"a":"2"}}');
  run.changedBytes = 0;
  run.end = { status: "completed", result: null, failure: null };
  expect(contribute(run)?.snapshot).toEqual({ no: 2, document: '{"a":1}', search: '{"a":"2"}' });
});

test("a run that rests leaves a fresh memory, but writes a long one only for changes that are worth it", async () => {
  const run = await waitingRun();
  run.machine.context.entity.change(1, '{"op":"set","value":{"a":1}}');
  run.changedBytes = 28;
  expect(contribute(run)?.snapshot).toMatchObject({ no: 1 });
  run.snapshotBytes = 100_000;
  expect(contribute(run)?.snapshot).toBeUndefined();
  run.changedBytes = 25_000;
  expect(contribute(run)?.snapshot).toMatchObject({ no: 1 });
});

test("the values of a flush hold the runs in the order of their ids, as the locks are taken", async () => {
  const first = await waitingRun();
  const second = await waitingRun();
  Object.assign(second, { facts: { ...second.facts, runId: "018f0000-0000-7000-8000-000000000000" } });
  for (const run of [first, second]) run.pending.push(eventOf("1"));
  const forwards = flushValues([first, second].map((run) => contribute(run) ?? raise()));
  const backwards = flushValues([second, first].map((run) => contribute(run) ?? raise()));
  expect(forwards).toEqual(backwards);
});

function raise(): never {
  throw new Error("the run contributes nothing");
}
