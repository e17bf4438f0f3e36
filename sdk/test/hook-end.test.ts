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
/** Fire and forget: nobody waits for any of them, and every tenth never ends by itself. */
const HOOK_COUNT = 1_000;
const forgetful = async (): Promise<void> => {
  for (let index = 0; index < HOOK_COUNT; index += 1) {
    const workflowName = index % 10 === 0 ? "endless" : "short";
    await MemFlow.workflow.hook({ taskQueue: QUEUE, workflowName, args: [] });
  }
  await MemFlow.workflow.waitFor("go");
};
const short = async (): Promise<void> => {
  await MemFlow.workflow.sleepFor(1);
};
const WORKFLOWS: ReadonlyMap<string, Invoke> = new Map([
  ["hooked", hooked],
  ["endless", endless],
  ["forgetful", forgetful],
  ["short", short],
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

test("of a thousand hooks that nobody waits for, those that still run at the end of the run are canceled", async () => {
  const store = await setup();
  await store.engine({ taskQueue: QUEUE, workflows: WORKFLOWS });
  const handle = await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "forgetful", args: [] });
  const countOf = async (): Promise<Record<string, number>> => {
    const rows = await store.query<{ key: string; count: number }>(
      "select workflow_name || ' ' || status as key, count(*)::integer as count from runs where hook group by 1",
    );
    return Object.fromEntries(rows.map(({ key, count }) => [key, count]));
  };
  await eventually("the end of all short hooks", async () => (await countOf())["short completed"] === 900);
  expect(await countOf()).toEqual({ "endless running": 100, "short completed": 900 });
  await handle.signal("go");
  await handle.result();
  expect(await countOf()).toEqual({ "endless canceled": 100, "short completed": 900 });
});
