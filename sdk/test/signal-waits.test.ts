/**
 * Who counts as waiting for a signal that names no run.
 */
import { resolveConnection } from "@memflow/engine";
import type { Invoke } from "@memflow/engine";
import { MeddledSource } from "@memflow/engine/testing";
import { MemFlow } from "@memflow/sdk";
import { expect, test } from "vitest";
import { eventually, recorded, setup } from "./setup.ts";

const QUEUE = "waits";

test("a run that waits beside a running activity gets a signal that names no run", async () => {
  const store = await setup();
  const latch = Promise.withResolvers<void>();
  const { long } = MemFlow.workflow.proxyActivities({ activities: { long: () => latch.promise } });
  const racing = async (): Promise<unknown> => await Promise.race([long(), MemFlow.workflow.waitFor("stop")]);
  await store.worker({ taskQueue: QUEUE, workflow: { racing } });
  const handle = await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "racing", args: [] });
  await eventually("it waits", async () => (await store.query("select from waits")).length === 1);
  const receipt = await store.client.workflow.signal("stop", 7);
  expect(receipt.runId).toBe(handle.runId);
  expect(await handle.result()).toBe(7);
  latch.resolve();
});

test("a wait that was over before it was recorded catches no later signal", async () => {
  const store = await setup();
  const quick = async (): Promise<void> => {
    const memory = await MemFlow.workflow.entity();
    const early = MemFlow.workflow.waitFor("early");
    await memory.set({ begun: true });
    await early;
    await MemFlow.workflow.sleepFor("1h");
  };
  const handle = await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "quick", args: [] });
  await handle.signal("early", 1);
  await store.worker({ taskQueue: QUEUE, workflow: { quick } });
  await eventually(
    "it sleeps",
    async () => (await store.query("select from runs where wake_at is not null")).length === 1,
  );
  expect(await store.query("select from waits")).toHaveLength(0);
  const receipt = await store.client.workflow.signal("early", 2);
  expect(receipt.runId).toBeNull();
});

test("a run that is handed over before its wait was recorded waits on, and gets what was kept meanwhile", async () => {
  const store = await setup();
  const latch = Promise.withResolvers<void>();
  const { step } = MemFlow.workflow.proxyActivities({ activities: { step: () => latch.promise } });
  const stepping = async (): Promise<unknown> => {
    await step();
    return await MemFlow.workflow.waitFor("kept");
  };
  const workflows: ReadonlyMap<string, Invoke> = new Map([["stepping", stepping]]);
  const handle = await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "stepping", args: [] });
  const first = await store.engine({ taskQueue: QUEUE, workflows });
  await eventually("the step runs", () => first.status.runningActivities === 1);
  first.crash();
  await store.bury(first.status.workerId);

  const meddled = new MeddledSource(resolveConnection(store.url));
  const inbox = meddled.holdNext("memflow_loadInbox");
  const second = await store.engine({ taskQueue: QUEUE, workflows, tuning: { source: meddled.source } });
  await inbox.answered;
  latch.resolve();
  await recorded(handle, "activity_completed");
  expect((await store.client.workflow.signal("kept", 7)).runId).toBeNull();
  const stopped = second.shutdown({ graceMs: 0 });
  await eventually("it has no owner", async () => {
    const [row] = await store.query<{ owner: string | null }>("select owner from runs");
    return row?.owner === null;
  });
  inbox.release();
  await stopped;

  await store.engine({ taskQueue: QUEUE, workflows });
  expect(await handle.result()).toBe(7);
});
