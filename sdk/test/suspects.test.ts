/**
 * Runs that several owners died on: each is replayed alone, and all of them soon.
 */
import { MemFlow } from "@memflow/sdk";
import { expect, test } from "vitest";
import { eventually, setup } from "./setup.ts";
import type { TestStore } from "./setup.ts";

const QUEUE = "suspects";
const SUSPECT_COUNT = 100;

test("suspects follow one another, each alone, without waiting for the next look after them", async () => {
  const store = await setup();
  const { step } = MemFlow.workflow.proxyActivities({ activities: { step: (value: number) => value } });
  const seen: number[] = [];
  const stepping = async (value: number): Promise<number> => await step(value);
  const start = (value: number) =>
    store.client.workflow.start({ taskQueue: QUEUE, workflowName: "stepping", args: [value] });
  const suspects = await Promise.all(Array.from({ length: SUSPECT_COUNT }, (_, index) => start(index)));
  await store.query("update runs set busy_takeovers = 2");
  const innocent = await start(-1);
  const engine = await store.engine({
    taskQueue: QUEUE,
    workflows: new Map([
      [
        "stepping",
        async (_context, [value]) => {
          seen.push(engine.status.busyRuns);
          return await stepping(value as number);
        },
      ],
    ]),
    // A look for each of them would take minutes.
    tuning: { sweepMs: 2_000, pollMs: 600_000 },
  });
  expect(await innocent.result()).toBe(-1);
  seen.length = 0;
  const results = await Promise.all(suspects.map((handle) => handle.result()));
  expect(results).toEqual(Array.from({ length: SUSPECT_COUNT }, (_, index) => index));
  expect(Math.max(...seen)).toBeLessThanOrEqual(1);
  expect(await (await start(-2)).result()).toBe(-2);
});

/** A run of a gated activity, and one of a quick one; the gate opens when the test says so. */
function gated(): {
  readonly workflows: Readonly<Record<string, () => Promise<string>>>;
  readonly entered: Promise<void>;
  open(): void;
} {
  const entered = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const { stand, quick } = MemFlow.workflow.proxyActivities({
    activities: {
      stand: async (): Promise<string> => {
        entered.resolve();
        await gate.promise;
        return "stood";
      },
      quick: (): string => "quick",
    },
  });
  return {
    workflows: { standing: async () => await stand(), quick: async () => await quick() },
    entered: entered.promise,
    open: () => gate.resolve(),
  };
}

/** Starts a run that no worker has seen and that two owners died on. */
async function startSuspect(store: TestStore, workflowName: string): Promise<{ result(): Promise<unknown> }> {
  const workflowId = `suspect-${workflowName}`;
  const handle = await store.client.workflow.start({
    taskQueue: QUEUE,
    workflowName,
    workflowId,
    startDelay: "1h",
  });
  await store.query(
    "update runs set busy_takeovers = 2, ready_at = clock_timestamp() where workflow_id = $1",
    [workflowId],
  );
  return handle;
}

test("a suspect whose attempt goes on and on leaves room for others", async () => {
  const store = await setup();
  const { workflows, entered, open } = gated();
  const suspect = await startSuspect(store, "standing");
  await store.engine({ taskQueue: QUEUE, workflows });
  await entered;
  const other = await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "quick" });
  expect(await other.result()).toBe("quick");
  open();
  expect(await suspect.result()).toBe("stood");
});

test("a worker that never rests takes a suspect all the same", async () => {
  const store = await setup();
  const { workflows, entered, open } = gated();
  const engine = await store.engine({ taskQueue: QUEUE, workflows });
  const restless = await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "standing" });
  await entered;
  const suspect = await startSuspect(store, "quick");
  expect(await suspect.result()).toBe("quick");
  await eventually("only the other at work", () => engine.status.busyRuns === 1);
  // And goes on with the others.
  const other = await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "quick" });
  expect(await other.result()).toBe("quick");
  open();
  expect(await restless.result()).toBe("stood");
  await eventually("rest", () => engine.status.busyRuns === 0);
});
