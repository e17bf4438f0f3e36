import type { CrashPoint } from "@memflow/engine";
import { observeCrashPoints } from "@memflow/engine/testing";
import { MemFlow } from "@memflow/sdk";
import { expect, test } from "vitest";
import { eventually, setup } from "./setup.ts";

const PARTNER = "stray-partner";

/** Sends before anybody waits. */
async function early(): Promise<void> {
  await MemFlow.workflow.signal(PARTNER, "early");
}

async function late(): Promise<string> {
  return await MemFlow.workflow.waitFor<string>(PARTNER);
}

async function patient(): Promise<string> {
  return await MemFlow.workflow.waitFor<string>("stray-bell");
}

const { prepare } = MemFlow.workflow.proxyActivities<{ prepare(): void }>({
  activities: { prepare: () => undefined },
});

async function ready(): Promise<string> {
  await prepare();
  return await MemFlow.workflow.waitFor<string>("stray-bell");
}

test("a kept signal still says which run has sent it", async () => {
  const store = await setup();
  await store.worker({ taskQueue: "stray", workflow: { early, late } });
  const sender = await store.client.workflow.start({ taskQueue: "stray", workflowName: "early" });
  await sender.result();
  const receiver = await store.client.workflow.start({ taskQueue: "stray", workflowName: "late" });

  await expect(receiver.result()).resolves.toBe("early");

  const [received] = await receiver.history();
  expect(received?.payload).toEqual({ from: sender.runId, data: "early" });
});

test("a run that was given its signal before a takeover is not given the next one's too", async () => {
  const store = await setup();
  const workflows = { patient };
  const first = await store.engine({ taskQueue: "stray", workflows });
  const start = (): ReturnType<typeof store.client.workflow.start> =>
    store.client.workflow.start({ taskQueue: "stray", workflowName: "patient" });
  const one = await start();
  await eventually("its wait", async () => (await store.query("select 1 from waits")).length === 1);
  first.crash();
  await store.client.workflow.signal("stray-bell", "first");
  await store.client.workflow.signal("stray-bell", "second");
  await store.bury(first.status.workerId);

  await store.engine({ taskQueue: "stray", workflows });
  await expect(one.result()).resolves.toBe("first");
  const other = await start();

  await expect(other.result()).resolves.toBe("second");
});

test("a run whose new owner dies at once is not left waiting unknown to all", async () => {
  const store = await setup();
  const workflows = { ready };
  const taskQueue = "stray";
  const stopAt = async (point: CrashPoint): Promise<void> => {
    const engine = await store.engine({ taskQueue: "nothing", workflows: {} });
    const observer = observeCrashPoints(engine, { point, occurrence: 1, how: "crash" });
    const serving = engine.serve(taskQueue, new Map([["ready", (): Promise<string> => ready()]]));
    await observer.stopped;
    await serving.catch(() => undefined);
    await store.bury(engine.status.workerId);
  };
  const handle = await store.client.workflow.start({ taskQueue, workflowName: "ready" });
  await stopAt("flush.committed");
  await stopAt("flush.applied");
  await store.engine({ taskQueue, workflows });

  await store.client.workflow.signal("stray-bell", "rung");

  await expect(handle.result()).resolves.toBe("rung");
});
