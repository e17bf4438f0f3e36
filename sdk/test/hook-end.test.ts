/**
 * Hooks that still run when their run ends.
 */
import { MemFlow } from "@memflow/sdk";
import type { Invoke } from "@memflow/engine";
import { expect, test } from "vitest";
import { eventually, setup } from "./setup.ts";

const QUEUE = "hooks";

const hooked = async (): Promise<void> => {
  await MemFlow.workflow.hook({ taskQueue: QUEUE, workflowName: "endless", args: [] });
  await MemFlow.workflow.waitFor("go");
};
const endless = async (): Promise<void> => {
  await MemFlow.workflow.waitFor("never");
};
const WORKFLOWS: ReadonlyMap<string, Invoke> = new Map([
  ["hooked", hooked],
  ["endless", endless],
]);

test("a hook is canceled with its run, also when the run's owner is not the one that started the hook", async () => {
  const store = await setup();
  const first = await store.engine({ taskQueue: QUEUE, workflows: WORKFLOWS });
  const handle = await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "hooked", args: [] });
  await eventually("both wait", async () => (await store.query("select from waits")).length === 2);
  first.crash();
  await store.bury(first.status.workerId);
  await store.engine({ taskQueue: QUEUE, workflows: WORKFLOWS });
  await handle.signal("go");
  await handle.result();
  expect(await store.query("select status from runs where hook")).toEqual([{ status: "canceled" }]);
});
