/**
 * Exports that come back: JSON of whole runs, replayed by the code that made them and by code that changed.
 */
import { EXPORT_FORMAT, HistoryMismatchError, MemFlow, OptionError } from "@memflow/sdk";
import type { WorkflowExport, WorkflowFunction, WorkflowHandle } from "@memflow/sdk";
import fc from "fast-check";
import { onTestFinished, expect, test } from "vitest";
import { SAMPLES } from "./crash-cases.ts";
import * as samples from "./sample-workflows.ts";
import { setup } from "./setup.ts";

const QUEUE = "exported";
const functions = samples as unknown as Readonly<Record<string, WorkflowFunction>>;

/** An export as a file would hold it. */
async function throughJson(handle: WorkflowHandle): Promise<WorkflowExport> {
  return JSON.parse(JSON.stringify(await handle.export())) as WorkflowExport;
}

function nameOf(exported: WorkflowExport): string {
  return exported.run?.workflowName ?? "";
}

async function served() {
  const store = await setup();
  MemFlow.registerInterceptor(samples.audit);
  onTestFinished(() => MemFlow.clearInterceptors());
  await store.worker({ taskQueue: samples.remoteQueueOf(QUEUE), activities: {} });
  await store.worker({ taskQueue: QUEUE, workflow: samples });
  return store;
}

test.each(SAMPLES)('every run of the sample "$name" replays from its export as it ended', async (sample) => {
  const store = await served();
  const starts = Object.entries(sample.starts("case")).map(
    async ([name, options]) =>
      [
        name,
        await store.client.workflow.start({ ...options, taskQueue: QUEUE, workflowId: `case-${name}` }),
      ] as const,
  );
  const handles = new Map(await Promise.all(starts));
  for (const { to, id, data } of sample.signals ?? []) await handles.get(to)?.signal(id, data);
  const results = await Promise.all(
    [...handles.values()].map((handle) => handle.result({ throwOnError: false })),
  );
  for (const [index, handle] of [...handles.values()].entries()) {
    const exported = await throughJson(handle);
    const replayed = await MemFlow.replay(exported, functions[nameOf(exported)] as WorkflowFunction);
    expect(replayed).toEqual({ status: "completed", result: results[index] });
    expect(exported.state?.data.response).toEqual(results[index]);
    const family = (await handle.family()).filter(({ runId }) => runId !== handle.runId);
    for (const { runId, status } of family) {
      const member = await throughJson(await store.client.workflow.getRun(runId));
      const again = await MemFlow.replay(member, functions[nameOf(member)] as WorkflowFunction);
      // A child may outlive its parent, a hook is canceled with it.
      const ends = status === "running" || status === "canceled" ? ["waiting", "completed"] : [status];
      expect(ends).toContain(again.status);
    }
  }
});

const { echo } = MemFlow.workflow.proxyActivities({
  activities: { echo: (value: unknown) => value },
});

/** Puts a value through every place of an export: input, activity, memory, signal, result. */
async function carry(value: unknown): Promise<unknown[]> {
  const memory = await MemFlow.workflow.entity();
  const echoed = await echo(value);
  const set = await memory.set({ value });
  const told = await MemFlow.workflow.waitFor("told");
  return [echoed, set, told, MemFlow.workflow.random(), Date.now(), await echo(undefined)];
}

test("whatever JSON holds goes through an export and back unchanged", async () => {
  const store = await setup();
  await store.worker({ taskQueue: QUEUE, workflow: carry });
  const value = fc.jsonValue().filter((json) => !JSON.stringify(json).includes("\\u0000"));
  await fc.assert(
    fc.asyncProperty(value, async (json) => {
      const handle = await store.client.workflow.start({
        taskQueue: QUEUE,
        workflowName: "carry",
        args: [json],
      });
      await handle.signal("told", json);
      const result = await handle.result();
      const exported = await throughJson(handle);
      expect(await MemFlow.replay(exported, carry)).toEqual({ status: "completed", result });
    }),
    { numRuns: 25 },
  );
});

async function steps(first: string, second: string): Promise<unknown[]> {
  const one = await echo(first);
  const slept = await MemFlow.workflow.sleepFor(1);
  return [one, slept, await echo(second)];
}

async function stepsSwapped(first: string, second: string): Promise<unknown[]> {
  const slept = await MemFlow.workflow.sleepFor(1);
  return [await echo(first), slept, await echo(second)];
}

async function stepsAdded(first: string, second: string): Promise<unknown[]> {
  return [...(await steps(first, second)), await MemFlow.workflow.waitFor("one more")];
}

async function stepsLost(first: string): Promise<unknown> {
  return await echo(first);
}

async function stepsImpure(first: string, second: string): Promise<unknown[]> {
  const result = await steps(first, second);
  await new Promise(() => undefined);
  return result;
}

async function exportedSteps(): Promise<WorkflowExport> {
  const store = await setup();
  await store.worker({ taskQueue: QUEUE, workflow: steps });
  const handle = await store.client.workflow.start({
    taskQueue: QUEUE,
    workflowName: "steps",
    args: ["a", "b"],
  });
  await handle.result();
  return await throughJson(handle);
}

test("code that no longer fits its history is named, with the position and the place in the code", async () => {
  const exported = await exportedSteps();
  expect(await MemFlow.replay(exported, steps)).toEqual({ status: "completed", result: ["a", 0.001, "b"] });
  for (const [changed, position, expected, actual] of [
    [stepsSwapped, 0, 'activity "echo"', "timer"],
    [stepsLost, 1, "timer", "nothing more"],
    [stepsAdded, 3, "the end of the run", 'wait "one more"'],
  ] as const) {
    const replayed = await MemFlow.replay(exported, changed);
    if (replayed.status !== "mismatch") throw new Error(`${changed.name} is ${replayed.status}`);
    expect(replayed.error).toBeInstanceOf(HistoryMismatchError);
    expect(replayed.error).toMatchObject({ code: "HISTORY_MISMATCH", position, expected, actual });
    expect(replayed.error.place).toMatch(/export\.test\.ts:\d+:\d+$/);
  }
  const impure = await MemFlow.replay(exported, stepsImpure);
  if (impure.status !== "mismatch") throw new Error(`it is ${impure.status}`);
  expect(impure.error).toMatchObject({ code: "DETERMINISM_VIOLATION" });
  expect(impure.error.place).toMatch(/export\.test\.ts:\d+:\d+$/);
});

/** Has search data from its start on, and adds to it. */
async function searchable(): Promise<unknown[]> {
  const search = await MemFlow.workflow.search();
  const seeded = await search.get("color");
  await search.set({ shape: "round" });
  return [seeded, await search.incr("count", 2), Date.now()];
}

test("search data is exported, replayed from its seed on, and queried by field", async () => {
  const store = await setup();
  await store.worker({ taskQueue: QUEUE, workflow: searchable });
  const handle = await store.client.workflow.start({
    taskQueue: QUEUE,
    workflowName: "searchable",
    search: { data: { color: "red" } },
  });
  const result = await handle.result<unknown[]>();
  expect(result.slice(0, 2)).toEqual(["red", 2]);
  const all = { color: "red", shape: "round", count: "2" };
  expect(await handle.queryState()).toEqual(all);
  expect(await handle.queryState(["shape", "nothing"])).toEqual({ shape: "round" });
  const exported = await throughJson(handle);
  expect(exported.data).toEqual(all);
  expect(await MemFlow.replay(exported, searchable)).toEqual({ status: "completed", result });
});

test("a run that is open, and one that failed, replay as far as they went", async () => {
  const store = await setup();
  const fails = async (reason: string): Promise<never> => {
    await echo(reason);
    throw Object.assign(new RangeError(reason), { detail: 1 });
  };
  await store.worker({ taskQueue: QUEUE, workflow: { carry, fails } });
  const open = await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "carry", args: [1] });
  const failed = await store.client.workflow.start({
    taskQueue: QUEUE,
    workflowName: "fails",
    args: ["as ever"],
    config: { maximumAttempts: 2, initialInterval: 1, backoffCoefficient: 1 },
  });
  await expect(failed.result()).rejects.toThrow("as ever");
  const replayed = await MemFlow.replay(await throughJson(failed), fails);
  expect(replayed).toMatchObject({ status: "failed", error: { message: "as ever", detail: 1 } });
  expect(await MemFlow.replay(await throughJson(open), carry)).toEqual({ status: "waiting" });
});

test("an export that lacks what a replay needs is refused by name", async () => {
  const exported = await exportedSteps();
  const { run: _run, ...headless } = exported;
  const [first, ...rest] = exported.timeline ?? [];
  const { input: _input, ...blind } = exported.run ?? {};
  for (const broken of [
    undefined,
    null,
    "text",
    {},
    { ...exported, format: "another" },
    headless,
    { ...exported, run: blind },
    { ...exported, timeline: undefined },
    { ...exported, timeline: [{ ...first, kind: "unheard_of" }, ...rest] },
  ]) {
    await expect(MemFlow.replay(broken, steps)).rejects.toBeInstanceOf(OptionError);
  }
  expect(exported.format).toBe(EXPORT_FORMAT);
});
