/**
 * Parity with HotMesh's `signal`: two waits side by side, one told by a handle, the other by a client of its own.
 */
import { Client, MemFlow } from "@memflow/sdk";
import { expect, test } from "vitest";
import { eventually } from "../setup.ts";
import { serving } from "./serving.ts";

const { greet } = MemFlow.workflow.proxyActivities({
  activities: { greet: (name: string): string => `hello ${name}` },
});

const workflow = {
  waitsTwice: async (name: string) => {
    const before = await greet(name);
    const payloads = await Promise.all([
      MemFlow.workflow.waitFor<{ from: string }>("abcdefg"),
      MemFlow.workflow.waitFor<{ from: string }>("hijklmnop"),
    ]);
    return [before, ...payloads, await greet(String(payloads.length))];
  },
};

test("payloads come in the order of the waits, whoever sends them, with activities before and after", async () => {
  const { start, connection, namespace, query } = await serving(workflow);
  const handle = await start("waitsTwice", ["ColdMush"]);
  await eventually("both wait", async () => (await query("select from waits")).length === 2);
  const fresh = new Client({ connection, namespace });
  const receipt = await fresh.workflow.signal("hijklmnop", { from: "client" }, namespace);
  expect(receipt).toMatchObject({ runId: handle.runId });
  await handle.signal("abcdefg", { from: "handle" });
  expect(await handle.result()).toEqual([
    "hello ColdMush",
    { from: "handle" },
    { from: "client" },
    "hello 2",
  ]);
});

test("one signal id serves one run after another", async () => {
  const { start } = await serving({ waits: async () => await MemFlow.workflow.waitFor("test-signal") });
  for (const turn of [1, 2, 3]) {
    const handle = await start("waits", [], { workflowId: "same" });
    await handle.signal("test-signal", { turn });
    expect(await handle.result()).toEqual({ turn });
  }
});
