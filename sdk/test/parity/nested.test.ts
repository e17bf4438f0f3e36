/**
 * Parity with HotMesh's `nested`: children side by side, workers that start at once, a schema that is there already.
 */
import { MemFlow } from "@memflow/sdk";
import { expect, test } from "vitest";
import { setup } from "../setup.ts";

const { greet } = MemFlow.workflow.proxyActivities({
  activities: { greet: (name: string): string => `hello ${name}` },
});

const parent = async (name: string): Promise<unknown> => {
  const greeting = await greet(name);
  const children = await Promise.all(
    ["first", "second"].map((child) =>
      MemFlow.workflow.execChild<string>({
        taskQueue: child,
        workflowName: "child",
        workflowId: `${name}-${child}`,
        signalIn: false,
        args: [child],
      }),
    ),
  );
  return { greeting, children };
};
const child = async (name: string): Promise<string> => await greet(`child ${name}`);

test("a parent awaits two children side by side, on queues whose workers all start at once", async () => {
  const { client, worker } = await setup();
  await Promise.all([
    worker({ taskQueue: "parent", workflow: { parent } }),
    worker({ taskQueue: "first", workflow: { child } }),
    worker({ taskQueue: "second", workflow: { child } }),
  ]);
  const handle = await client.workflow.start({
    taskQueue: "parent",
    workflowName: "parent",
    args: ["nest"],
    signalIn: false,
  });
  expect(await handle.result()).toEqual({
    greeting: "hello nest",
    children: ["hello child first", "hello child second"],
  });
});
