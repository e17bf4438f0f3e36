/**
 * Parity with HotMesh's `interrupt`: a workflow that ends another.
 */
import { MemFlow } from "@memflow/sdk";
import { expect, test } from "vitest";
import { QUEUE, serving } from "./serving.ts";

const workflow = {
  sleepsLong: async () => await MemFlow.workflow.sleepFor("1 hour"),
  quick: async (value: string) => await Promise.resolve(`quick ${value}`),
  /** Execs child A, starts child B, and ends B without an error. */
  interrupts: async () => {
    const result = await MemFlow.workflow.execChild<string>({ workflowName: "quick", args: ["A"] });
    const jobId = await MemFlow.workflow.startChild({ workflowName: "sleepsLong", workflowId: "child-b" });
    await MemFlow.workflow.sleepFor("10 milliseconds");
    await MemFlow.workflow.interrupt(jobId, { throw: false, reason: "no longer wanted" });
    return result;
  },
};

test("a workflow ends another without an error: its own result stands, the other counts far below zero and gives undefined", async () => {
  const { start, client } = await serving(workflow);
  const parent = await start("interrupts");
  expect(await parent.result()).toBe("quick A");
  const child = await client.workflow.getHandle(QUEUE, "sleepsLong", "child-b");
  expect(await child.result()).toBeUndefined();
  expect(await child.status()).toBeLessThan(-1_000_000);
});

test("an interrupt shows the code, the reason and the stack that it is given", async () => {
  const { start } = await serving(workflow);
  const handle = await start("sleepsLong");
  const waiting = handle.result();
  await handle.interrupt({ code: 499, reason: "given", stack: "Error: given\n    at the caller" });
  await expect(waiting).rejects.toMatchObject({
    code: 499,
    message: "given",
    stack: "Error: given\n    at the caller",
  });
});
