/** Which attempts begin, and which never do. */
import { expect, test } from "vitest";
import { ActivityExecutor } from "./activity-executor.ts";
import type { ActivityTask } from "./activity-executor.ts";

const NO_MARKS = { enter: (): void => undefined, leave: (): void => undefined };

interface Attempt {
  readonly task: ActivityTask;
  readonly abort: AbortController;
  readonly begun: boolean;
  readonly refused: boolean;
  /** Lets the attempt end; settles when it has. */
  end(): Promise<void>;
}

function attempt(): Attempt {
  const abort = new AbortController();
  const work = Promise.withResolvers<void>();
  const settled = Promise.withResolvers<void>();
  const seen = { begun: false, refused: false };
  return {
    abort,
    get begun() {
      return seen.begun;
    },
    get refused() {
      return seen.refused;
    },
    end: async () => {
      work.resolve();
      await settled.promise;
    },
    task: {
      activityName: "a",
      runId: "r",
      position: 0,
      get aborted() {
        return abort.signal.aborted;
      },
      info: {
        activityName: "a",
        runId: "r",
        workflowId: "w",
        workflowName: "w",
        taskQueue: "q",
        position: 0,
        attempt: 1,
        signal: abort.signal,
      },
      args: null,
      implementation: () => {
        seen.begun = true;
        return work.promise;
      },
      settled: () => settled.resolve(),
      refused: () => void (seen.refused = true),
    },
  };
}

const makeExecutor = (): ActivityExecutor =>
  new ActivityExecutor({
    workerId: "x",
    slots: 1,
    marks: NO_MARKS,
    onFree: () => undefined,
    onLate: () => undefined,
  });

test("an attempt that nobody wants any more when its slot is free never begins", async () => {
  const executor = makeExecutor();
  const [first, unwanted, third] = [attempt(), attempt(), attempt()];
  for (const { task } of [first, unwanted, third]) executor.submit(task);
  unwanted.abort.abort();
  await first.end();
  expect([first.begun, unwanted.begun, third.begun]).toEqual([true, false, true]);
});

test("an executor that closes refuses what waits and what comes, and tells what runs", async () => {
  const executor = makeExecutor();
  const [running, waiting, late] = [attempt(), attempt(), attempt()];
  executor.submit(running.task);
  executor.submit(waiting.task);
  executor.close();
  executor.submit(late.task);
  await running.end();
  expect([waiting.begun, late.begun]).toEqual([false, false]);
  expect([running.refused, waiting.refused, late.refused]).toEqual([false, true, true]);
  expect(executor.free).toBe(0);
});
