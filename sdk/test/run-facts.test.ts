/**
 * What code can ask about its run: the same on every replay, handed on to children and hooks.
 */
import { MemFlow } from "@memflow/sdk";
import type { WorkflowInfo, WorkflowOptions } from "@memflow/sdk";
import { expect, test } from "vitest";
import { eventually, setup } from "./setup.ts";

const QUEUE = "run-facts";
const { workflow: wf } = MemFlow;
const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";

/** What is told of a run, as JSON: its connection is a worker's. */
function facts(): Record<string, unknown> {
  const { connection: _c, startTime: _s, replay: _r, ...told } = wf.getContext();
  return told;
}

let passes: unknown[] = [];
const workflow = {
  tells: async () => await Promise.resolve(facts()),
  family: async (...args: unknown[]) => {
    await wf.sleepFor(1);
    return {
      args,
      own: facts(),
      child: await wf.execChild<WorkflowInfo>({ workflowName: "tells", workflowId: "the-child", args: [1] }),
      hook: await wf.execHook<WorkflowInfo>({ taskQueue: QUEUE, workflowName: "tells", args: [2] }),
    };
  },
  failsOnce: async () => {
    const { attempt, canRetry } = wf.workflowInfo();
    if (attempt === 1) throw new Error(`first, ${String(canRetry)}`);
    return await Promise.resolve([attempt, canRetry]);
  },
  remembers: async () => {
    const seen: unknown[] = [wf.random(), wf.uuid4(), MemFlow.guid(), wf.workflowInfo().counter];
    passes.push([...seen, wf.workflowInfo().replay]);
    await wf.sleepFor(1);
    seen.push(wf.random(), wf.uuid4(), wf.workflowInfo().counter);
    await wf.waitFor("go");
    passes.push(wf.workflowInfo().replay);
    return [...seen, wf.random()];
  },
  mixes: async () => [
    await wf.all(
      wf.sleepFor(2),
      Promise.resolve("plain"),
      wf.execChild({ workflowName: "echoes", args: [3] }),
    ),
    await wf.executeChild({ workflowName: "echoes", args: [4] }),
    await wf.sleep("1 millisecond"),
  ],
  echoes: async (value: unknown) => await Promise.resolve(value),
};

async function served() {
  passes = [];
  const store = await setup();
  const first = await store.worker({ taskQueue: QUEUE, workflow });
  const start = (workflowName: string, options: WorkflowOptions = {}) =>
    store.client.workflow.start({ taskQueue: QUEUE, workflowName, ...options });
  return { ...store, first, start };
}

test("a child knows its first ancestor and keeps its time; a hook shares the id and has a dimension", async () => {
  const { start, query } = await served();
  const handle = await start("family", { workflowId: "root", expire: 77, args: ["x"] });
  type Told = Record<"own" | "child" | "hook", WorkflowInfo>;
  const { own, child, hook } = await handle.result<Told>();
  const hex = handle.runId.replaceAll("-", "");
  const trace = { workflowTrace: hex, workflowSpan: hex.slice(16) };
  const shared = { expire: 77, ...trace, namespace: own.namespace };
  expect(own).toMatchObject({
    ...shared,
    workflowId: "root",
    workflowDimension: "",
    counter: 1,
    isHook: false,
  });
  expect("originJobId" in own).toBe(false);
  expect(child).toMatchObject({ ...shared, workflowId: "the-child", originJobId: "root", isHook: false });
  expect(child.raw.data).toEqual({ arguments: [1], workflowId: "the-child" });
  expect(hook).toMatchObject({ ...shared, workflowId: "root", originJobId: "root", isHook: true });
  expect(hook.workflowDimension).not.toBe("");
  expect(hook.raw.data.arguments).toEqual([2, { signal: expect.any(String) as unknown, $memflow: true }]);
  const kept = await query("select distinct retention_seconds from runs");
  expect(kept).toEqual([{ retention_seconds: 77 }]);
});

test("a start may give the trace and the first ancestor; ids that are none are refused", async () => {
  const { start } = await served();
  const given = { workflowTrace: TRACE, workflowSpan: SPAN, originJobId: "elsewhere" };
  const { own, child } = await (await start("family", given)).result<Record<"own" | "child", WorkflowInfo>>();
  expect(own).toMatchObject(given);
  expect(child).toMatchObject(given);
  for (const wrong of [{ workflowTrace: "0".repeat(32) }, { workflowSpan: "xyz" }, { originJobId: "" }])
    await expect(start("tells", wrong)).rejects.toMatchObject({
      name: "OptionError",
      field: Object.keys(wrong)[0],
    });
});

test("canRetry says whether a failing attempt is tried again", async () => {
  const { start } = await served();
  const config = { maximumAttempts: 2, initialInterval: 1 };
  const handle = await start("failsOnce", { config });
  expect(await handle.result()).toEqual([2, false]);
  const [failed] = await handle.history();
  expect(failed?.payload).toMatchObject({ failure: { message: "first, true" } });
});

test("random numbers, ids and counters are the same after a hand-over; replay says which pass it is", async () => {
  const { start, first, worker, query } = await served();
  const handle = await start("remembers");
  await eventually("it waits", async () => (await query("select from waits")).length === 1);
  await first.shutdown();
  await worker({ taskQueue: QUEUE, workflow });
  await handle.signal("go");
  const result = await handle.result<unknown[]>();
  const before = result.slice(0, 4);
  expect(passes).toEqual([[...before, false], [...before, true], false]);
  expect(result[1]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/u);
  expect(new Set([result[0], result[4], result[7]]).size).toBe(3);
  expect([result[3], result[6]]).toEqual([0, 1]);
});

test("all waits for what is mixed, and the later names do what the old ones do", async () => {
  const { start } = await served();
  expect(await (await start("mixes")).result()).toEqual([[0.002, "plain", 3], 4, 0.001]);
});
