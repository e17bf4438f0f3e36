/**
 * Runs that several owners died on: each is replayed alone, and all of them soon.
 */
import { MemFlow } from "@memflow/sdk";
import { expect, test } from "vitest";
import { setup } from "./setup.ts";

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
