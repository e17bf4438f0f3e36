/**
 * `hook`, `execHook` and `execHookBatch`: what they are given, what they answer, and that each happens once.
 */
import { MemFlow } from "@memflow/sdk";
import { expect, test } from "vitest";
import { eventually, setup } from "./setup.ts";

const QUEUE = "hook-calls";
const { workflow: wf } = MemFlow;

let bodies: string[] = [];
interface Reply {
  readonly signal: string;
  readonly $memflow: boolean;
}
const view = (workflowName: string, ...args: readonly unknown[]) => ({
  taskQueue: QUEUE,
  workflowName,
  args,
});

const workflow = {
  answers: async (name: string, reply: Reply) => {
    bodies.push(name);
    await wf.signal(reply.signal, { name, $memflow: reply.$memflow });
    return "not the answer";
  },
  returns: async (name: string, reply?: Reply) =>
    await Promise.resolve({ name, replies: reply?.signal !== undefined }),
  fails: async () => await Promise.reject(new RangeError("no view")),
  remembers: async (name: string) => {
    const entity = await wf.entity();
    await entity.append("names", name);
  },
  asksAll: async () => ({
    signaled: await wf.execHook(view("answers", "a")),
    named: await wf.execHook({ ...view("answers", "b"), signalId: "b-done" }),
    retained: await wf.waitFor("b-done"),
    returned: await wf.execHook({ ...view("returns", "c"), signalId: "c-done" }),
    failed: await wf
      .execHook({ ...view("fails"), config: { maximumAttempts: 1 } })
      .catch((error: unknown) => (error as Error).message),
    lenient: await wf.execHook({
      ...view("fails"),
      config: { maximumAttempts: 1, throwOnError: false },
    }),
  }),
  asksBatch: async () =>
    await wf.execHookBatch<{ left: unknown; right: unknown; plain: unknown }>([
      { key: "left", options: view("answers", "l") },
      { key: "right", options: { ...view("answers", "r"), signalId: "right-done" } },
      { key: "plain", options: view("returns", "p") },
    ]),
  batchFails: async () =>
    await wf.execHookBatch([
      { key: "good", options: view("returns", "g") },
      { key: "bad", options: { ...view("fails"), config: { maximumAttempts: 1 } } },
    ]),
  batchTwins: async () =>
    await wf.execHookBatch([
      { key: "same", options: view("returns", "1") },
      { key: "same", options: view("returns", "2") },
    ]),
  loops: async () => await wf.hook({ args: [], workflowName: "loops" }),
  spawns: async () => {
    const id = await wf.hook(view("remembers", "spawned"));
    await wf.waitFor("go");
    return id;
  },
  batchThenWaits: async () => {
    const answers = await wf.execHookBatch([
      { key: "one", options: view("answers", "1") },
      { key: "two", options: view("answers", "2") },
    ]);
    await wf.waitFor("go");
    return answers;
  },
  innerSteps: async (name: string) => {
    const counters = [wf.workflowInfo().counter];
    await wf.sleepFor(1);
    counters.push(wf.workflowInfo().counter);
    const { workflowDimension, isHook } = wf.workflowInfo();
    return { name, counters, isHook, own: workflowDimension !== "" };
  },
  outerSteps: async () => {
    await wf.sleepFor(1);
    await wf.sleepFor(1);
    return [
      await Promise.all([wf.execHook(view("innerSteps", "x")), wf.execHook(view("innerSteps", "y"))]),
      wf.workflowInfo().counter,
    ];
  },
};

async function served() {
  bodies = [];
  const store = await setup();
  const first = await store.worker({ taskQueue: QUEUE, workflow, options: { paranoid: true } });
  const start = (workflowName: string) =>
    store.client.workflow.start({ taskQueue: QUEUE, workflowName, config: { maximumAttempts: 1 } });
  return { ...store, first, start };
}

test("execHook gives the signal's data, else what the hook returns, else its error", async () => {
  const { start } = await served();
  expect(await (await start("asksAll")).result()).toEqual({
    signaled: { name: "a", $memflow: true },
    named: { name: "b", $memflow: true },
    retained: { name: "b", $memflow: true },
    returned: { name: "c", replies: true },
    failed: "no view",
    lenient: expect.objectContaining({ name: "RangeError", message: "no view" }) as unknown,
  });
});

test("a batch starts all of its hooks, and gives their answers by key", async () => {
  const { start, query } = await served();
  expect(await (await start("asksBatch")).result()).toEqual({
    left: { name: "l", $memflow: true },
    right: { name: "r", $memflow: true },
    plain: { name: "p", replies: true },
  });
  expect(await query("select from runs where hook")).toHaveLength(3);
});

test("a batch fails with its first hook that fails, and refuses two hooks of one key", async () => {
  const { start } = await served();
  await expect((await start("batchFails")).result()).rejects.toMatchObject({ message: "no view" });
  await expect((await start("batchTwins")).result()).rejects.toMatchObject({
    name: "OptionError",
    field: "key",
  });
});

test("a hook of its own function, without a queue, is refused as an infinite loop", async () => {
  const { start, query } = await served();
  await expect((await start("loops")).result()).rejects.toThrow(/infinite loop/u);
  expect(await query("select from runs where hook")).toHaveLength(0);
});

test("hooks have positions of their own", async () => {
  const { start } = await served();
  const inner = (name: string) => ({ name, counters: [0, 1], isHook: true, own: true });
  expect(await (await start("outerSteps")).result()).toEqual([[inner("x"), inner("y")], 4]);
});

test.each([
  ["spawns", 1],
  ["batchThenWaits", 2],
])("after a hand-over, %s starts no hook again and answers the same", async (name, hookCount) => {
  const { start, first, worker, query } = await served();
  const handle = await start(name);
  await eventually("it waits alone", async () => {
    const waiting = await query("select from waits where signal_id = 'go'");
    const open = await query("select from runs where hook and status = 'running'");
    return waiting.length === 1 && open.length === 0;
  });
  const hooks = await query("select workflow_id from runs where hook order by run_id");
  expect(hooks).toHaveLength(hookCount);
  const spoken = bodies.length;
  await first.shutdown();
  await worker({ taskQueue: QUEUE, workflow });
  await handle.signal("go");
  const result = await handle.result();
  if (name === "spawns") {
    expect(result).toBe(hooks[0]?.["workflow_id"]);
    expect(await handle.entity()).toEqual({ names: ["spawned"] });
  } else expect(result).toEqual({ one: { name: "1", $memflow: true }, two: { name: "2", $memflow: true } });
  expect(await query("select workflow_id from runs where hook order by run_id")).toEqual(hooks);
  expect(bodies).toHaveLength(spoken);
});
