import { MemFlow } from "@memflow/sdk";
import { checkStore, eventually, testSource } from "@memflow/engine/testing";
import { expect, test } from "vitest";
import { recorded, setup } from "./setup.ts";

let executions = 0;
const { once } = MemFlow.workflow.proxyActivities<{ once(): number }>({
  activities: { once: () => (executions += 1) },
  taskQueue: "takeover-remote",
  retryPolicy: { maximumAttempts: 1 },
});

async function askElsewhere(): Promise<number> {
  const count = await once();
  await MemFlow.workflow.waitFor("go on");
  return count;
}

test("an outcome that waits in the inbox when its run is taken over is not worked for again", async () => {
  const store = await setup();
  const workflows = { askElsewhere };
  const taskQueue = "takeover";
  const first = await store.engine({ taskQueue, workflows });
  const handle = await store.client.workflow.start({ taskQueue, workflowName: "askElsewhere" });
  await eventually(
    "the attempt in the queue",
    async () => (await store.query("select 1 from activities")).length === 1,
  );
  first.crash();
  await store.bury(first.status.workerId);

  await store.engine({ taskQueue: "takeover-remote", workflows: {} });
  await eventually(
    "its outcome in the inbox",
    async () => (await store.query("select 1 from inbox")).length === 1,
  );
  await store.engine({ taskQueue, workflows });
  await recorded(handle, "activity_completed");
  await eventually(
    "an empty queue",
    async () => (await store.query("select 1 from activities")).length === 0,
  );
  await handle.signal("go on");

  await expect(handle.result()).resolves.toBe(1);
  expect(executions).toBe(1);
  const place = { source: testSource(), schema: store.namespace };
  expect(await checkStore(place)).toEqual([]);
});
