/**
 * Attempts that follow each other faster than flushes do, and rows that Postgres will not have.
 */
import { MemFlow } from "@memflow/sdk";
import { expect, test } from "vitest";
import { eventually, setup } from "./setup.ts";

const QUEUE = "retries";

test("attempts that fail faster than they can be recorded are counted and end as any others", async () => {
  const store = await setup();
  let calls = 0;
  const { flaky } = MemFlow.workflow.proxyActivities({
    activities: {
      flaky: (): number => {
        calls += 1;
        if (calls < 20) throw new Error("not yet");
        return calls;
      },
    },
    retryPolicy: { initialInterval: 0, backoffCoefficient: 1, maximumAttempts: 30 },
  });
  const retrying = async (): Promise<unknown> => {
    const value = await flaky();
    await MemFlow.workflow.waitFor("go");
    return value;
  };
  await store.worker({ taskQueue: QUEUE, workflow: { retrying } });
  const handle = await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "retrying", args: [] });
  await eventually("the run waits", async () => (await store.query("select from waits")).length === 1);
  expect(await store.query("select from activities")).toHaveLength(0);
  await handle.signal("go");
  expect(await handle.result()).toBe(20);
});

test("a run whose rows Postgres refuses is parked once, and its worker goes on", async () => {
  const store = await setup();
  const parked: unknown[] = [];
  const { elsewhere } = MemFlow.workflow.proxyActivities<{ elsewhere(): Promise<void> }>({
    taskQueue: "another",
    // Nothing checks these names; a NUL is what Postgres can't hold.
    retryPolicy: { nonRetryableErrorTypes: ["a\0b"] },
  });
  const refused = async (): Promise<void> => await elsewhere();
  const fine = async (): Promise<string> => await Promise.resolve("fine");
  await store.worker({
    taskQueue: QUEUE,
    workflow: { refused, fine },
    options: { log: (_level, message) => void (message === "run parked" && parked.push(message)) },
  });
  const start = (workflowName: string) =>
    store.client.workflow.start({ taskQueue: QUEUE, workflowName, args: [] });
  const handle = await start("refused");
  const problem = await eventually("a problem", async () => (await handle.describe()).problem ?? undefined);
  expect(problem).toMatchObject({ name: "RecordRefusedError" });
  expect(await (await start("fine")).result()).toBe("fine");
  expect(parked).toHaveLength(1);
  expect(await store.query("select from runs where owner is not null")).toHaveLength(0);
});
