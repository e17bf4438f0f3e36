/**
 * Interceptors are part of the run: in their order, around hooks too, with durable calls, replayed with it.
 */
import { MemFlow } from "@memflow/sdk";
import type { WorkflowInterceptor } from "@memflow/sdk";
import { beforeEach, expect, test } from "vitest";
import { eventually, setup } from "./setup.ts";

const QUEUE = "interceptors";
beforeEach(() => MemFlow.clearInterceptors());

const { greet } = MemFlow.workflow.proxyActivities({
  activities: { greet: (name: string): string => `hello ${name}` },
});

/** Notes in the run's memory when it begins and ends. */
function noting(name: string): WorkflowInterceptor {
  return {
    execute: async (ctx, next) => {
      const memory = await MemFlow.workflow.entity();
      const note = async (what: string): Promise<unknown> =>
        await memory.append("notes", `${name} ${what} ${String(ctx.get("workflowName"))}`);
      await note("before");
      try {
        return await next();
      } catch (error) {
        await note(`saw ${(error as Error).message} of`);
        throw error;
      } finally {
        await note("after");
      }
    },
  };
}

const workflow = {
  greets: async (name: string) => await greet(name),
  fails: async () => await Promise.reject(new RangeError("no")),
  hooks: async () =>
    await MemFlow.workflow.execHook({ taskQueue: QUEUE, workflowName: "greets", args: ["hook"] }),
  waits: async () => await MemFlow.workflow.waitFor("go"),
};

test("the first registered is the outermost, each sees the result and the error of the next", async () => {
  const store = await setup();
  MemFlow.registerInterceptor(noting("outer"));
  MemFlow.registerInterceptor(noting("inner"));
  await store.worker({ taskQueue: QUEUE, workflow });
  const start = { taskQueue: QUEUE, config: { maximumAttempts: 1 } };
  const greets = await store.client.workflow.start({ ...start, workflowName: "greets", args: ["you"] });
  expect(await greets.result()).toBe("hello you");
  expect(await greets.entity()).toEqual({
    notes: ["outer before greets", "inner before greets", "inner after greets", "outer after greets"],
  });
  const fails = await store.client.workflow.start({ ...start, workflowName: "fails" });
  await expect(fails.result()).rejects.toMatchObject({ name: "RangeError", message: "no" });
  expect(await fails.entity()).toEqual({
    notes: [
      "outer before fails",
      "inner before fails",
      "inner saw no of fails",
      "inner after fails",
      "outer saw no of fails",
      "outer after fails",
    ],
  });
});

test("they run around hooks too, in the memory of the run", async () => {
  const store = await setup();
  MemFlow.registerInterceptor(noting("audit"));
  await store.worker({ taskQueue: QUEUE, workflow });
  const handle = await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "hooks" });
  expect(await handle.result()).toBe("hello hook");
  expect(await handle.entity()).toEqual({
    notes: ["audit before hooks", "audit before greets", "audit after greets", "audit after hooks"],
  });
});

test("they may answer in place of the workflow, change its result, and use activities and sleeps", async () => {
  const store = await setup();
  MemFlow.registerInterceptor({
    execute: async (ctx, next) => {
      if (ctx.get("workflowName") === "fails") return "answered in its place";
      await MemFlow.workflow.sleepFor("1 millisecond");
      return { greeting: await next(), by: await greet("interceptor") };
    },
  });
  await store.worker({ taskQueue: QUEUE, workflow, options: { paranoid: true } });
  const { workflow: runs } = store.client;
  expect(await runs.execute({ taskQueue: QUEUE, workflowName: "fails" })).toBe("answered in its place");
  expect(await runs.execute({ taskQueue: QUEUE, workflowName: "greets", args: ["x"] })).toEqual({
    greeting: "hello x",
    by: "hello interceptor",
  });
});

test("they know the run that they are around", async () => {
  const store = await setup();
  let seen: Record<string, unknown> = {};
  MemFlow.registerInterceptor({
    execute: async (ctx, next) => {
      seen = Object.fromEntries(ctx);
      return await next();
    },
  });
  await store.worker({ taskQueue: QUEUE, workflow });
  const handle = await store.client.workflow.start({
    taskQueue: QUEUE,
    workflowName: "greets",
    workflowId: "known",
    args: ["x"],
  });
  await handle.result();
  expect(seen).toEqual({
    workflowId: "known",
    workflowName: "greets",
    workflowType: "greets",
    workflowTopic: `${QUEUE}-greets`,
    workflowDimension: "",
    taskQueue: QUEUE,
    namespace: store.namespace,
    runId: handle.runId,
    parentRunId: null,
    originJobId: undefined,
    workflowTrace: handle.runId.replaceAll("-", ""),
    workflowSpan: handle.runId.replaceAll("-", "").slice(16),
    attempt: 1,
    counter: 0,
    canRetry: true,
    replay: false,
    isHook: false,
    expire: 604_800,
    startTime: expect.any(Date) as unknown,
    connection: store.connection,
    raw: { data: { arguments: ["x"], workflowId: "known" } },
  });
});

test("they are replayed with the run by the worker that takes it over", async () => {
  const store = await setup();
  MemFlow.registerInterceptor(noting("audit"));
  const first = await store.worker({ taskQueue: QUEUE, workflow });
  const handle = await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "waits" });
  await eventually("it waits", async () => (await store.query("select from waits")).length === 1);
  await first.shutdown();
  await store.worker({ taskQueue: QUEUE, workflow });
  await handle.signal("go", "went");
  expect(await handle.result()).toBe("went");
  expect(await handle.entity()).toEqual({ notes: ["audit before waits", "audit after waits"] });
});
