/**
 * Namespaces are schemas: what two of them have in common by name never meets.
 */
import { MemFlow } from "@memflow/sdk";
import { expect, test } from "vitest";
import { eventually, setup } from "../setup.ts";
import type { TestStore } from "../setup.ts";
import { QUEUE } from "./serving.ts";

const waits = async (): Promise<unknown> => {
  const memory = await MemFlow.workflow.entity();
  await memory.set({ status: "waiting" });
  return await MemFlow.workflow.waitFor("same signal");
};

async function waiting(): Promise<TestStore> {
  const store = await setup();
  await store.worker({ taskQueue: QUEUE, workflow: { waits } });
  await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "waits", workflowId: "same id" });
  await eventually("it waits", async () => (await store.query("select from waits")).length === 1);
  return store;
}

test("the same workflow id and signal id in two namespaces never meet", async () => {
  const [here, there] = [await waiting(), await waiting()];
  expect(here.namespace).not.toBe(there.namespace);
  const receipt = await here.client.workflow.signal("same signal", "here");
  const [hereRun, thereRun] = await Promise.all(
    [here, there].map((store) => store.client.workflow.getHandle(QUEUE, "waits", "same id")),
  );
  expect(receipt).toMatchObject({ runId: hereRun?.runId });
  expect(await hereRun?.result()).toBe("here");
  expect(await thereRun?.status()).toBeGreaterThan(0);
  // One client reaches the other namespace when it names it.
  await here.client.workflow.signal("same signal", "there", there.namespace);
  const found = await here.client.workflow.getHandle(QUEUE, "waits", "same id", there.namespace);
  expect(found.runId).toBe(thereRun?.runId);
  expect(await found.result()).toBe("there");
});
