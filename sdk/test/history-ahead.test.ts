/**
 * Rows that stand where an owner does not expect them.
 */
import { MemFlow } from "@memflow/sdk";
import { expect, test } from "vitest";
import { eventually, setup } from "./setup.ts";

test("an owner whose run has events that it does not know gives the run back, and it goes on with them", async () => {
  const store = await setup();
  const twice = async (): Promise<unknown> => [
    await MemFlow.workflow.waitFor("go"),
    await MemFlow.workflow.waitFor("go"),
  ];
  await store.worker({ taskQueue: "ahead", workflow: { twice } });
  const handle = await store.client.workflow.start({ taskQueue: "ahead", workflowName: "twice", args: [] });
  await eventually("it waits", async () => (await store.query("select from waits")).length === 1);
  await store.query(
    `insert into events (run_id, event_no, kind, at, name, payload)
    values ($1, 1, 4, clock_timestamp(), 'go', '{"from":null,"data":1}')`,
    [handle.runId],
  );
  await handle.signal("go", 2);
  expect(await handle.result()).toEqual([1, 2]);
});

test("attempts that wait for a slot are forgotten with the attempt of the workflow that asked for them", async () => {
  const store = await setup();
  const latch = Promise.withResolvers<void>();
  let idleCount = 0;
  const { hold, idle } = MemFlow.workflow.proxyActivities({
    activities: { hold: () => latch.promise, idle: () => (idleCount += 1) },
  });
  const failing = async (): Promise<string> => {
    if (MemFlow.workflow.workflowInfo().attempt > 1) return await MemFlow.workflow.waitFor<string>("end");
    void hold();
    void idle();
    await MemFlow.workflow.sleepFor(1);
    throw new Error("first");
  };
  await store.worker({ taskQueue: "ahead", workflow: { failing }, options: { maxConcurrentActivities: 1 } });
  const config = { maximumAttempts: 2, initialInterval: 500, backoffCoefficient: 1 };
  const handle = await store.client.workflow.start({
    taskQueue: "ahead",
    workflowName: "failing",
    args: [],
    config,
  });
  await eventually("it waits", async () => (await store.query("select from waits")).length === 1);
  expect(await store.query("select position, state from activities where state = 'queued'")).toEqual([]);
  latch.resolve();
  await handle.signal("end", "end");
  expect(await handle.result()).toBe("end");
  expect(idleCount).toBe(0);
});
