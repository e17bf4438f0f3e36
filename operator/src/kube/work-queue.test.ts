/** Which keys are processed when, and never at the same time. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Bell } from "../testing/bell.ts";
import { recordLog } from "../testing/log-recorder.ts";
import { ManualClock } from "../testing/manual-clock.ts";
import { statusError } from "./errors.ts";
import { WorkQueue } from "./work-queue.ts";
import type { Processed, WorkQueueOptions } from "./work-queue.ts";

/** A processing that the test ends. */
interface Run {
  readonly key: string;
  readonly signal: AbortSignal;
  readonly end: (processed?: Processed) => void;
  readonly fail: (error: Error) => void;
}

interface Bundle {
  readonly queue: WorkQueue;
  readonly clock: ManualClock;
  /** All that ever began. */
  readonly runs: Run[];
  /** The run that began as number so many, from 1. */
  began(count: number): Promise<Run>;
  readonly log: ReturnType<typeof recordLog>;
}

function setup(options: Partial<WorkQueueOptions> = {}): Bundle {
  const clock = new ManualClock();
  const bell = new Bell();
  const runs: Run[] = [];
  const log = recordLog();
  const queue = new WorkQueue({
    name: "test",
    concurrency: 2,
    clock,
    random: () => 0.5,
    log: log.log,
    backoff: { firstMs: 100, maxMs: 1_000 },
    process: (key, signal) =>
      new Promise((resolve, reject) => {
        runs.push({ key, signal, end: resolve, fail: reject });
        bell.ring();
      }),
    ...options,
  });
  const began = async (count: number): Promise<Run> => {
    await bell.until(() => runs.length >= count);
    const run = runs[count - 1];
    if (!run) throw new Error(`no run number ${count}`);
    return run;
  };
  return { queue, clock, runs, began, log };
}

test("keys are processed in the order of adding, so many at a time, once for many adds", async () => {
  const { queue, runs, began } = setup();
  for (const key of ["a", "b", "a", "c", "b"]) queue.add(key);
  queue.start();
  await began(2);
  expect(runs.map(({ key }) => key)).toEqual(["a", "b"]);
  expect(queue.state).toMatchObject({ runningCount: 2, waitingCount: 1 });
  runs[0]?.end();
  expect((await began(3)).key).toBe("c");
});

test("a key that is added while it runs is processed once more, after that", async () => {
  const { queue, began, runs } = setup();
  queue.start();
  queue.add("a");
  const first = await began(1);
  queue.add("a");
  queue.add("a");
  queue.add("b");
  await began(2);
  expect(runs.map(({ key }) => key)).toEqual(["a", "b"]);
  first.end();
  expect((await began(3)).key).toBe("a");
});

test("a key that failed comes again after a back-off of its own, which success ends", async () => {
  const { queue, clock, began, log } = setup();
  queue.start();
  queue.add("a");
  for (const [count, pauseMs] of [50, 100, 200, 400, 500, 500].entries()) {
    (await began(count + 1)).fail(new Error("broken"));
    await clock.untilPending(pauseMs);
    clock.advance(pauseMs);
  }
  expect(queue.state.failingCount).toBe(1);
  (await began(7)).end();
  queue.add("a");
  (await began(8)).fail(new Error("broken"));
  await clock.untilPending(50);
  expect(log.entries[0]).toEqual({
    level: "error",
    message: "processing failed, trying again",
    fields: { queue: "test", key: "a", failureCount: 1, delayMs: 50, error: "broken" },
  });
});

test("a server that asked for a pause gets it", async () => {
  const { queue, clock, began } = setup({ random: () => 0 });
  queue.start();
  queue.add("a");
  const answer = { status: 429, reason: "TooManyRequests", message: "", retryAfterMs: 7_000 };
  (await began(1)).fail(statusError("PUT /x", answer));
  await clock.untilPending(7_000);
  expect(queue.state).toMatchObject({ delayedCount: 1, failingCount: 1 });
});

test("a process that throws before it promises anything is a failure like any other", async () => {
  const { queue, clock } = setup({
    process: () => {
      throw new Error("at once");
    },
  });
  queue.start();
  queue.add("a");
  await clock.untilPending(50);
  expect(queue.state.failingCount).toBe(1);
});

test("a key comes again when its processing said so", async () => {
  const { queue, clock, began } = setup();
  queue.start();
  queue.add("a");
  (await began(1)).end({ requeueAfterMs: 5_000 });
  await clock.untilPending(5_000);
  clock.advance(5_000);
  expect((await began(2)).key).toBe("a");
});

test("of several times the earliest counts, and processing drops it", async () => {
  const { queue, clock, began } = setup();
  queue.start();
  for (const delayMs of [9_000, 3_000, 6_000]) queue.addAfter("a", delayMs);
  expect(clock.pendingMs).toEqual([3_000]);
  queue.add("a");
  await began(1);
  expect(queue.state.delayedCount).toBe(0);
});

test("what runs too long is told to end, by a signal", async () => {
  const { queue, clock, began } = setup({ timeoutMs: 4_000 });
  queue.start();
  queue.add("a");
  const { signal } = await began(1);
  clock.advance(3_999);
  expect(signal.aborted).toBe(false);
  clock.advance(1);
  expect(signal.reason).toMatchObject({ code: "WORK_TIMEOUT", key: "a" });
});

test("a stop waits for what runs, tells it to end after the grace, and takes up nothing more", async () => {
  const { queue, clock, runs, began } = setup();
  queue.start();
  for (const key of ["a", "b", "c"]) queue.add(key);
  queue.addAfter("d", 1_000);
  const [first, second] = [await began(1), await began(2)];
  queue.add("a");
  let stopped = false;
  const stop = queue.stop(2_000).then(() => (stopped = true));
  first.end({ requeueAfterMs: 1 });
  expect(second.signal.aborted).toBe(false);
  clock.advance(2_000);
  expect(second.signal.reason).toMatchObject({ code: "WORK_STOPPED" });
  expect(stopped).toBe(false);
  second.fail(new Error("told to end"));
  await stop;
  queue.add("e");
  queue.addAfter("e", 0);
  expect(runs.length).toBe(2);
  expect(queue.state).toEqual({ waitingCount: 0, runningCount: 0, delayedCount: 0, failingCount: 0 });
});

test("a stop without grace tells at once", async () => {
  const { queue, began } = setup();
  queue.start();
  queue.add("a");
  const run = await began(1);
  const stop = queue.stop(0);
  expect(run.signal.aborted).toBe(true);
  run.end();
  await stop;
});

interface Step {
  readonly kind: "add" | "later" | "end" | "fail" | "advance";
  readonly key: string;
  readonly number: number;
}

const steps: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom("add", "later", "end", "fail", "advance"),
  key: fc.constantFrom("a", "b", "c", "d"),
  number: fc.nat(300),
});

test("under any schedule: never one key twice at a time, never too many, and each add is followed by a run", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(steps, { maxLength: 60 }),
      fc.integer({ min: 1, max: 3 }),
      async (all, concurrency) => {
        const open = new Map<string, Run>();
        const bell = new Bell();
        /** Keys that were added and have not begun since. */
        const owed = new Set<string>();
        let processes = true;
        // An error thrown by the process would only make the queue try again.
        const violations: string[] = [];
        const { queue, clock } = setup({
          concurrency,
          process: (key, signal) =>
            new Promise((resolve, reject) => {
              if (open.has(key)) violations.push(`${key} twice at a time`);
              owed.delete(key);
              const settle = (how: () => void): void => {
                open.delete(key);
                how();
              };
              const end = (processed?: Processed): void => settle(() => resolve(processed));
              open.set(key, { key, signal, end, fail: (error) => settle(() => reject(error)) });
              if (open.size > concurrency) violations.push(`${open.size} keys at a time`);
              if (!processes) end();
              bell.ring();
            }),
        });
        queue.start();
        for (const { kind, key, number } of all) {
          if (kind === "add") {
            owed.add(key);
            queue.add(key);
          } else if (kind === "later") queue.addAfter(key, number);
          else if (kind === "end")
            open.get(key)?.end(number % 2 === 0 ? { requeueAfterMs: number } : undefined);
          else if (kind === "fail") open.get(key)?.fail(new Error("broken"));
          else clock.advance(number);
          await Promise.resolve();
        }
        processes = false;
        for (const run of open.values()) run.end();
        await bell.until(() => owed.size === 0);
        await queue.stop(0);
        expect(open.size).toBe(0);
        expect(violations).toEqual([]);
      },
    ),
    { numRuns: 200 },
  );
});
