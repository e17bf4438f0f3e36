/**
 * Connections that are lost at the worst statements: the worker goes on when the database is back.
 */
import { resolveConnection } from "@memflow/engine";
import type { Invoke } from "@memflow/engine";
import { MeddledSource } from "@memflow/engine/testing";
import { MemFlow } from "@memflow/sdk";
import { expect, test } from "vitest";
import { eventually, setup } from "./setup.ts";
import type { TestStore } from "./setup.ts";

const QUEUE = "lost";

const waiting = async (): Promise<unknown> => await MemFlow.workflow.waitFor("go");
const reader = async (): Promise<unknown> => {
  await MemFlow.workflow.execHook({ taskQueue: QUEUE, workflowName: "writer", args: [] });
  const memory = await MemFlow.workflow.entity();
  return await memory.get("written");
};
const writer = async (): Promise<void> => {
  const memory = await MemFlow.workflow.entity();
  await memory.set({ written: 7 });
};
const WORKFLOWS: ReadonlyMap<string, Invoke> = new Map(Object.entries({ waiting, reader, writer }));

const start = (store: TestStore, workflowName: string) =>
  store.client.workflow.start({ taskQueue: QUEUE, workflowName, args: [] });

test("a connection lost while a run's memory is read costs the worker nothing", async () => {
  const store = await setup();
  const meddled = new MeddledSource(resolveConnection(store.url));
  const engine = await store.engine({
    taskQueue: QUEUE,
    workflows: WORKFLOWS,
    tuning: { source: meddled.source },
  });
  meddled.break("memflow_loadChanges", 2);
  const handle = await start(store, "reader");
  expect(await handle.result()).toBe(7);
  expect(meddled.breaksLeft("memflow_loadChanges")).toBe(0);
  expect(engine.status.state).toBe("running");
});

test("a worker that was declared dead begins anew, also when the database goes away meanwhile", async () => {
  const store = await setup();
  const meddled = new MeddledSource(resolveConnection(store.url));
  const engine = await store.engine({
    taskQueue: QUEUE,
    workflows: WORKFLOWS,
    tuning: { source: meddled.source },
  });
  const { workerId } = engine.status;
  meddled.break("memflow_registerWorker", 2);
  await store.bury(workerId);
  await eventually("a new incarnation", () => engine.status.workerId !== workerId);
  const handle = await start(store, "waiting");
  await handle.signal("go", 1);
  expect(await handle.result()).toBe(1);
  expect(meddled.breaksLeft("memflow_registerWorker")).toBe(0);
});

test("a message that comes between a claim and its answer is read at once", async () => {
  const store = await setup();
  const meddled = new MeddledSource(resolveConnection(store.url));
  const handle = await start(store, "waiting");
  const claim = meddled.holdNext("memflow_claimRuns");
  const rarely = { source: meddled.source, pollMs: 600_000, sweepMs: 600_000 };
  await store.engine({ taskQueue: QUEUE, workflows: WORKFLOWS, tuning: rarely });
  await claim.answered;
  const heard = meddled.heard(handle.runId);
  await handle.signal("go", 1);
  await heard;
  claim.release();
  expect(await handle.result()).toBe(1);
});

test("connections lost while a history is read cost neither the claim nor what was read", async () => {
  const store = await setup();
  const first = await store.engine({ taskQueue: QUEUE, workflows: WORKFLOWS });
  const handle = await start(store, "waiting");
  await eventually("the wait", async () => (await store.query("select from waits")).length === 1);
  first.crash();
  await store.bury(first.status.workerId);
  await handle.signal("go", 1);
  const meddled = new MeddledSource(resolveConnection(store.url));
  meddled.break("memflow_loadActivities", 1);
  meddled.break("memflow_loadEvents", 2);
  await store.engine({ taskQueue: QUEUE, workflows: WORKFLOWS, tuning: { source: meddled.source } });
  expect(await handle.result()).toBe(1);
  expect([meddled.breaksLeft("memflow_loadActivities"), meddled.breaksLeft("memflow_loadEvents")]).toEqual([
    0, 0,
  ]);
  expect(await store.query("select epoch from runs")).toEqual([{ epoch: 2 }]);
});
