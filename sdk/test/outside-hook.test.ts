/**
 * Hooks that a client starts inside an open run.
 */
import { CanceledError, MemFlow, OptionError, RunClosedError, WorkflowNotFoundError } from "@memflow/sdk";
import type { WorkflowFunction } from "@memflow/sdk";
import { expect, test } from "vitest";
import { recorded, setup } from "./setup.ts";

const QUEUE = "outside";

const { shout } = MemFlow.workflow.proxyActivities({
  activities: { shout: (text: string) => text.toUpperCase() },
});

/** Waits for a word, and tells what its memory has become. */
async function order(): Promise<unknown> {
  const memory = await MemFlow.workflow.entity();
  await memory.set({ notes: ["begun"] });
  const word = await MemFlow.workflow.waitFor("go");
  const search = await MemFlow.workflow.search();
  return {
    word,
    memory: await memory.get(),
    color: await search.get("color"),
    size: await search.get("size"),
  };
}

async function addNote(note: string): Promise<void> {
  const memory = await MemFlow.workflow.entity();
  const { workflowId, isHook } = MemFlow.workflow.workflowInfo();
  await memory.append("notes", await shout(note));
  const search = await MemFlow.workflow.search();
  await search.set({ color: "blue" });
  await MemFlow.workflow.signal("go", { from: isHook ? "a hook" : workflowId });
}

async function lingers(): Promise<never> {
  return await MemFlow.workflow.waitFor<never>("never");
}

async function fails(): Promise<never> {
  await MemFlow.workflow.waitFor("fail");
  throw new Error("failed");
}

const workflow = { order, addNote, lingers, fails } satisfies Record<string, WorkflowFunction>;

async function served() {
  const store = await setup();
  await store.worker({ taskQueue: QUEUE, workflow });
  const hook = (workflowId: string, workflowName: keyof typeof workflow, args: unknown[] = [], more = {}) =>
    store.client.workflow.hook({ workflowId, taskQueue: QUEUE, workflowName, args, ...more });
  const start = (workflowName: keyof typeof workflow, more = {}) =>
    store.client.workflow.start({ taskQueue: QUEUE, workflowName, ...more });
  return { ...store, hook, start };
}

test("a hook from outside shares entity, search data and signals with its run, and has a history of its own", async () => {
  const { client, hook, start } = await served();
  const handle = await start("order", { workflowId: "order-1" });
  await recorded(handle, "entity_changed");
  const hookId = await hook("order-1", "addNote", ["call"], { search: { data: { size: "large" } } });
  expect(await handle.result()).toEqual({
    word: { from: "a hook" },
    memory: { notes: ["begun", "CALL"] },
    color: "blue",
    size: "large",
  });
  const hooked = await client.workflow.getHandle(hookId);
  expect(await hooked.describe()).toMatchObject({ hook: true, parentRunId: handle.runId });
  expect((await hooked.history()).map(({ kind }) => kind)).toContain("activity_completed");
  const started = (await handle.history()).filter(({ kind }) => kind === "hook_attached");
  expect(started).toMatchObject([{ position: null, name: "addNote", payload: { workflowId: hookId } }]);
  const replayed = await MemFlow.replay(JSON.parse(JSON.stringify(await handle.export())), order);
  expect(replayed).toEqual({ status: "completed", result: await handle.result() });
});

test("a hook may come before any worker, and its run's worker after it", async () => {
  const store = await setup();
  const handle = await store.client.workflow.start({
    taskQueue: QUEUE,
    workflowName: "order",
    workflowId: "early",
  });
  await store.client.workflow.hook({
    workflowId: "early",
    taskQueue: QUEUE,
    workflowName: "addNote",
    args: ["soon"],
  });
  await store.worker({ taskQueue: QUEUE, workflow });
  expect(await handle.result()).toMatchObject({ word: { from: "a hook" } });
});

test("many hooks at once lose no change", async () => {
  const { hook, start } = await served();
  const handle = await start("order", { workflowId: "busy" });
  await recorded(handle, "entity_changed");
  const notes = Array.from({ length: 30 }, (_unused, index) => `note ${index}`);
  const closed = (error: unknown): undefined => {
    // The first hook's signal may end the run before the last hook is started.
    expect(error).toBeInstanceOf(RunClosedError);
  };
  const begun = await Promise.all(notes.map((note) => hook("busy", "addNote", [note]).catch(closed)));
  expect(begun.filter((id) => id !== undefined).length).toBeGreaterThan(0);
  const result = await handle.result<{ memory: { notes: string[] } }>();
  const [first, ...rest] = result.memory.notes;
  expect(first).toBe("begun");
  expect(new Set(rest).size).toBe(rest.length);
  expect(notes.map((note) => note.toUpperCase())).toEqual(expect.arrayContaining(rest));
});

test("a hook that still runs ends with its run, and with a failed attempt of it", async () => {
  const { client, hook, start } = await served();
  const handle = await start("order", { workflowId: "ends" });
  const lingering = await client.workflow.getHandle(await hook("ends", "lingers"));
  await handle.signal("go", 1);
  await handle.result();
  await expect(lingering.result()).rejects.toBeInstanceOf(CanceledError);
  const failing = await start("fails", {
    workflowId: "fails",
    config: { maximumAttempts: 2, initialInterval: 1, backoffCoefficient: 1 },
  });
  const dropped = await client.workflow.getHandle(await hook("fails", "lingers"));
  await recorded(failing, "hook_attached");
  await failing.signal("fail");
  await expect(dropped.result()).rejects.toBeInstanceOf(CanceledError);
  expect(await failing.status()).toBe(1);
});

test("a hook for a run that has ended, or that nobody knows, is refused by name", async () => {
  const { hook, start, query } = await served();
  const handle = await start("order", { workflowId: "over" });
  await handle.signal("go", 1);
  await handle.result();
  await expect(hook("over", "addNote", ["late"])).rejects.toBeInstanceOf(RunClosedError);
  await expect(hook("nobody", "addNote", ["lost"])).rejects.toBeInstanceOf(WorkflowNotFoundError);
  await expect(hook("", "addNote")).rejects.toBeInstanceOf(OptionError);
  await expect(hook("over", "addNote", [], { pending: 1 })).rejects.toBeInstanceOf(OptionError);
  expect(await query("select 1 from runs where hook")).toEqual([]);
});
