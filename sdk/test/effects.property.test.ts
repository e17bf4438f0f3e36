/**
 * Random workflows of effects, waits and steps, whose worker is replaced in the middle: what they see is the same, and what
 * they do to the outside has happened once.
 */
import { MemFlow } from "@memflow/sdk";
import { checkStore, testSource } from "@memflow/engine/testing";
import fc from "fast-check";
import { expect, test } from "vitest";
import { eventually, setup } from "./setup.ts";

const QUEUE = "random-effects";
const { workflow: wf } = MemFlow;

type Step =
  | "emit"
  | "random"
  | "activity"
  | "condition"
  | "sleep"
  | "hook"
  | "batch"
  | "append"
  | "mark"
  | "all";
const STEPS: readonly Step[] = [
  "emit",
  "random",
  "activity",
  "condition",
  "sleep",
  "hook",
  "batch",
  "append",
  "mark",
  "all",
];

let executions: number[] = [];
const { count } = wf.proxyActivities({
  activities: {
    count: (index: number): number => {
      executions.push(index);
      return index;
    },
  },
});
const echo = (value: unknown) => ({ taskQueue: QUEUE, workflowName: "echoes", args: [value] });

async function perform(step: Step, index: number): Promise<unknown> {
  switch (step) {
    case "emit":
      return await wf.emit({ step: index });
    case "random":
      return [wf.random(), wf.uuid4(), MemFlow.guid()];
    case "activity":
      return await count(index);
    case "condition":
      return await wf.condition(`nobody-${index}`, 1);
    case "sleep":
      return await wf.sleepFor(1);
    case "hook":
      return await wf.execHook(echo(index));
    case "batch":
      return await wf.execHookBatch([
        { key: "a", options: echo(`a${index}`) },
        { key: "b", options: echo(`b${index}`) },
      ]);
    case "append":
      return await (await wf.entity()).append("steps", index);
    case "mark":
      // What it says differs on replay by its meaning, and must change nothing else.
      await wf.isSideEffectAllowed("step");
      return wf.workflowInfo().counter;
    case "all":
      return await wf.all(wf.sleepFor(1), count(index), wf.emit({ step: index }));
  }
}

const workflow = {
  echoes: async (value: unknown) => await Promise.resolve(value),
  performs: async (steps: readonly Step[], gate: number) => {
    const seen: unknown[] = [];
    for (const [index, step] of steps.entries()) {
      if (index === gate) await wf.waitFor("go");
      seen.push(await perform(step, index));
    }
    const again = [...seen];
    if (gate >= steps.length) await wf.waitFor("go");
    return again;
  },
};

const program = fc
  .array(fc.constantFrom(...STEPS), { minLength: 1, maxLength: 8 })
  .chain((steps) => fc.record({ steps: fc.constant(steps), gate: fc.nat({ max: steps.length }) }));

test("after a hand-over anywhere, a random workflow gives what it gave, and did everything once", async () => {
  await fc.assert(
    fc.asyncProperty(program, async ({ steps, gate }) => {
      executions = [];
      const store = await setup();
      const heard: unknown[] = [];
      await store.client.workflow.subscribe("step", (_topic, data) => heard.push(data));
      const first = await store.worker({ taskQueue: QUEUE, workflow, options: { paranoid: true } });
      const handle = await store.client.workflow.start({
        taskQueue: QUEUE,
        workflowName: "performs",
        args: [steps, gate],
        config: { maximumAttempts: 1 },
      });
      await eventually("it waits", async () =>
        (await store.query("select from waits where signal_id = 'go'")).length === 1 ? true : undefined,
      );
      await first.shutdown();
      await store.worker({ taskQueue: QUEUE, workflow, options: { paranoid: true } });
      await handle.signal("go");
      const seen = await handle.result<unknown[]>();
      const expected = (kinds: readonly Step[]): number[] =>
        steps.flatMap((step, index) => (kinds.includes(step) ? [index] : []));
      await eventually(
        "all that was emitted is heard",
        () => heard.length >= expected(["emit", "all"]).length,
      );
      expect(heard).toEqual(expected(["emit", "all"]));
      expect(executions).toEqual(expected(["activity", "all"]));
      expect((await handle.entity<{ steps?: number[] }>()).steps ?? []).toEqual(expected(["append"]));
      for (const [index, step] of steps.entries()) {
        if (step === "condition") expect(seen[index]).toBe(false);
        if (step === "hook") expect(seen[index]).toBe(index);
        if (step === "batch") expect(seen[index]).toEqual({ a: `a${index}`, b: `b${index}` });
        if (step === "all") expect(seen[index]).toEqual([0.001, index, true]);
      }
      const hooks = await store.query("select from runs where hook");
      expect(hooks).toHaveLength(expected(["hook"]).length + 2 * expected(["batch"]).length);
      expect(await checkStore({ source: testSource(), schema: store.namespace })).toEqual([]);
      await MemFlow.shutdown({ graceMs: 0 });
    }),
    { numRuns: 12 },
  );
}, 180_000);
