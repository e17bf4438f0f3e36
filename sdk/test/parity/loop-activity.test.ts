/**
 * Parity with HotMesh's `loopactivity`: trace, enrich and emit, then activities and a sleep side by side.
 */
import { MemFlow } from "@memflow/sdk";
import { expect, test } from "vitest";
import { QUEUE, serving } from "./serving.ts";

const { greet } = MemFlow.workflow.proxyActivities({
  activities: { greet: (name: string): string => `hello ${name}` },
});

const workflow = {
  example: async () => {
    const done = [
      await MemFlow.workflow.trace({ "my.attribute": "value" }),
      await MemFlow.workflow.enrich({ key1: "value1" }),
      await MemFlow.workflow.emit({ "my.dog": { anything: "goes" } }),
    ];
    const values = await Promise.all([
      greet("1"),
      greet("2"),
      greet("3"),
      MemFlow.workflow.sleepFor("20 milliseconds"),
    ]);
    return [done, values];
  },
};

test("after trace, enrich and emit, activities and a sleep run side by side; two handles get one result", async () => {
  const { start, client } = await serving(workflow);
  const handle = await start("example");
  const other = await client.workflow.getHandle(QUEUE, "example", handle.workflowId);
  const expected = [
    [true, true, true],
    ["hello 1", "hello 2", "hello 3", 0.02],
  ];
  expect(await Promise.all([handle.result(), other.result()])).toEqual([expected, expected]);
  expect(await handle.queryState(["key1"])).toEqual({ key1: "value1" });
});
