/**
 * Hooks that a run starts in the memory of another run.
 */
import { MemFlow } from "@memflow/sdk";
import type { WorkflowOptions } from "@memflow/sdk";
import { checkStore, testSource } from "@memflow/engine/testing";
import { expect, test } from "vitest";
import { eventually, recorded, setup } from "./setup.ts";

const QUEUE = "hook-elsewhere";
const { workflow: wf } = MemFlow;

const workflow = {
  waits: async () => {
    const entity = await wf.entity();
    await entity.set({ notes: [] });
    const noted = await wf.waitFor("noted");
    return { noted, memory: await entity.get() };
  },
  notes: async (note: string) => {
    const entity = await wf.entity();
    await entity.append("notes", note);
    const { workflowId, isHook } = wf.workflowInfo();
    await wf.signal("noted", { note, workflowId, isHook });
  },
  lingers: async () => await wf.waitFor("never"),
  leavesOpen: async () => {
    const open = { taskQueue: QUEUE, workflowName: "lingers", args: [] };
    await Promise.all([wf.hook(open), wf.hook(open), wf.hook(open)]);
    await wf.sleepFor(5);
  },
  visits: async (target: string, name: string) =>
    await wf.hook({ taskQueue: QUEUE, workflowName: name, args: ["from outside"], workflowId: target }),
  visitsAndWaits: async (target: string, name: string) => {
    const hook = { taskQueue: QUEUE, workflowName: name, args: ["from outside"], workflowId: target };
    const id = await wf.hook(hook);
    await wf.waitFor("go");
    return id;
  },
  catches: async (target: string) => {
    try {
      return await wf.hook({ taskQueue: QUEUE, workflowName: "notes", args: [], workflowId: target });
    } catch (error) {
      return (error as Error).name;
    }
  },
  ownFunction: async (target: string) =>
    await wf.hook({
      workflowName: "ownFunction",
      args: [target],
      workflowId: target,
      config: { maximumAttempts: 1 },
    }),
  awaits: async (target: string) =>
    await wf.execHook({ workflowName: "notes", args: [], workflowId: target }),
};

async function served() {
  const store = await setup();
  const first = await store.worker({ taskQueue: QUEUE, workflow, options: { paranoid: true } });
  const start = (workflowName: string, args: readonly unknown[] = [], more: WorkflowOptions = {}) =>
    store.client.workflow.start({
      taskQueue: QUEUE,
      workflowName,
      args,
      config: { maximumAttempts: 1 },
      ...more,
    });
  const hooks = async () =>
    await store.query<{ workflow_id: string; status: string }>(
      "select workflow_id, status from runs where hook order by run_id",
    );
  const sound = async () =>
    expect(await checkStore({ source: testSource(), schema: store.namespace })).toEqual([]);
  return { ...store, first, start, hooks, sound };
}

test("it shares the other run's entity, knows itself as that run's, and signals it", async () => {
  const { start, sound } = await served();
  const target = await start("waits", [], { workflowId: "target" });
  const visitor = await start("visits", ["target", "notes"]);
  const hookId = await visitor.result();
  expect(await target.result()).toEqual({
    noted: { note: "from outside", workflowId: "target", isHook: true },
    memory: { notes: ["from outside"] },
  });
  const attached = (await target.history()).filter(({ kind }) => kind === "hook_attached");
  expect(attached.map(({ payload }) => payload)).toEqual([
    { runId: expect.any(String) as unknown, workflowId: hookId },
  ]);
  await sound();
});

test("it is canceled with the other run, also when that has changed hands; its starter goes on", async () => {
  const { start, hooks, first, worker, sound } = await served();
  const target = await start("waits", [], { workflowId: "target" });
  const visitor = await start("visitsAndWaits", ["target", "lingers"]);
  await recorded(target, "hook_attached");
  await first.shutdown();
  await worker({ taskQueue: QUEUE, workflow });
  await target.signal("noted", "enough");
  await target.result();
  const [hook] = await hooks();
  expect(hook?.status).toBe("canceled");
  await visitor.signal("go");
  expect(await visitor.result()).toBe(hook?.workflow_id);
  expect(await hooks()).toHaveLength(1);
  await sound();
});

test("many that come as the other run ends are each canceled with it or refused", async () => {
  const { start, hooks, sound } = await served();
  const target = await start("waits", [], { workflowId: "target" });
  await recorded(target, "entity_changed");
  const visitors = await Promise.all(
    Array.from({ length: 40 }, async (_, index) => {
      if (index === 20) void target.signal("noted", "enough");
      return await start("visits", ["target", "lingers"]);
    }),
  );
  const told = await Promise.allSettled(visitors.map((visitor) => visitor.result()));
  await target.result();
  await eventually("no hook runs on", async () =>
    (await hooks()).every(({ status }) => status === "canceled"),
  );
  const started = told.filter(({ status }) => status === "fulfilled").length;
  expect(await hooks()).toHaveLength(started);
  for (const outcome of told)
    if (outcome.status === "rejected") expect(outcome.reason).toMatchObject({ name: "RunClosedError" });
  await sound();
});

test("a hook that begins to wait in the flush that cancels it leaves no wait behind", async () => {
  const { start, hooks, sound } = await served();
  // Hooks and their run are of one lane, whose next flush has the waits of the ones and the end of the other.
  const runs = await Promise.all(Array.from({ length: 30 }, async () => await start("leavesOpen")));
  for (const run of runs) await run.result();
  await eventually("no hook runs on", async () =>
    (await hooks()).every(({ status }) => status === "canceled"),
  );
  expect(await hooks()).toHaveLength(90);
  await sound();
});

test("a run that is not open is refused by name", async () => {
  const { start, hooks } = await served();
  expect(await (await start("catches", ["nobody"])).result()).toBe("WorkflowNotFoundError");
  const ended = await start("catches", ["nobody"], { workflowId: "ended" });
  await ended.result();
  expect(await (await start("catches", ["ended"])).result()).toBe("RunClosedError");
  expect(await hooks()).toEqual([]);
});

test("its own function in another run is no loop; execHook is for its own run alone", async () => {
  const { start, hooks } = await served();
  await start("waits", [], { workflowId: "target" });
  await (await start("ownFunction", ["target"])).result();
  // There the function would go on without end: it is in its target now.
  await eventually("the hook has ended", async () => (await hooks())[0]?.status === "failed");
  expect(await hooks()).toHaveLength(1);
  await expect((await start("awaits", ["target"])).result()).rejects.toMatchObject({ field: "workflowId" });
});
