/**
 * MemFlow's calls and handles as its users know them: names, options, outcomes.
 */
import * as sdk from "@memflow/sdk";
import { DuplicateJobError, FatalError, MaxedError, MemFlow, TimeoutError } from "@memflow/sdk";
import pg from "pg";
import { expect, onTestFinished, test } from "vitest";
import { eventually, setup } from "./setup.ts";

const QUEUE = "surface";
const ONCE = { maximumAttempts: 1 };

const attempts = new Map<string, number>();
const { attempt, defaultName } = MemFlow.workflow.proxyActivities({
  activities: {
    /** Fails until the attempt of that number, with the error that is asked for. */
    attempt: (key: string, succeedsAt: number, name = "Error"): number => {
      const number = (attempts.get(key) ?? 0) + 1;
      attempts.set(key, number);
      if (number >= succeedsAt) return number;
      const message = `attempt ${number}`;
      if (name === "Fatal") throw new FatalError(message);
      if (name === "Maxed") throw new MaxedError(message);
      if (name === "Timeout") throw new TimeoutError(message);
      throw Object.assign(new RangeError(message), {
        code: name === "coded" ? "E_MINE" : undefined,
        detail: { a: 1 },
      });
    },
    defaultName: function namedOtherwise(): string {
      return "found";
    },
  },
  retryPolicy: { maximumAttempts: 3, initialInterval: 1, backoffCoefficient: 1 },
});

const lenient = MemFlow.workflow.proxyActivities({
  activities: { refuse: (): number => raise("refused") },
  retryPolicy: { maximumAttempts: 1, throwOnError: false },
});

function raise(message: string): never {
  throw new FatalError(message);
}

const workflow = {
  echo: async (...values: unknown[]) => await Promise.resolve(values),
  tries: async (key: string, succeedsAt: number, name?: string) => await attempt(key, succeedsAt, name),
  falls: async (message: string) => await Promise.reject(new RangeError(message)),
  fallsFatally: async (message: string) => await Promise.resolve(raise(message)),
  risesAtLast: async () => {
    const { attempt: number } = MemFlow.workflow.workflowInfo();
    if (number < 3) throw new Error(`workflow attempt ${number}`);
    return await Promise.resolve(number);
  },
  waits: async () => await MemFlow.workflow.waitFor("go"),
  lenient: async () => {
    const refused = await lenient.refuse();
    const child = await MemFlow.workflow.execChild({
      workflowName: "falls",
      args: ["child"],
      config: { ...ONCE, throwOnError: false },
    });
    return [refused, child];
  },
  parent: async () => await MemFlow.workflow.execChild({ workflowName: "waits", workflowId: "the-child" }),
  collides: async () => {
    try {
      return await MemFlow.workflow.execChild({ workflowName: "waits", workflowId: "taken" });
    } catch (error) {
      const { name, message, code } = error as DuplicateJobError;
      return { name, message, code, known: error instanceof DuplicateJobError };
    }
  },
  asks: async () => {
    const { runId, workflowId, workflowName, taskQueue, workflowTopic, isHook } =
      MemFlow.workflow.workflowInfo();
    const random = MemFlow.workflow.random();
    const slept = [await MemFlow.workflow.sleepFor("1 millisecond"), await MemFlow.workflow.sleepFor(2)];
    const inner = { runId, workflowId, workflowName, taskQueue, workflowTopic, isHook };
    return {
      inner,
      random,
      again: MemFlow.workflow.random(),
      slept,
      guid: MemFlow.guid(),
      named: await defaultName(),
    };
  },
};

async function served() {
  const store = await setup();
  await store.worker({ taskQueue: QUEUE, workflow });
  const start = (workflowName: string, args: readonly unknown[] = [], more: sdk.WorkflowOptions = {}) =>
    store.client.workflow.start({ taskQueue: QUEUE, workflowName, args, ...more });
  return { ...store, start };
}

test("everything that MemFlow exports and this version has is there", () => {
  expect(Object.keys(sdk)).toEqual(
    expect.arrayContaining([
      "MemFlow",
      "Client",
      "Connection",
      "Worker",
      "workflow",
      "WorkflowHandle",
      "Entity",
      "Durable",
      "Errors",
      "Enums",
    ]),
  );
  expect(sdk.Durable).toBe(MemFlow);
  expect(sdk.Errors.MemFlowFatalError).toBe(FatalError);
  expect(new sdk.Errors.MemFlowRetryError("again").code).toBe(sdk.Enums.HMSH_CODE_MEMFLOW_RETRYABLE);
  for (const name of ["Client", "Connection", "Handle", "Worker", "Entity", "workflow"] as const) {
    expect(MemFlow[name]).toBeTypeOf("function");
  }
  for (const name of [
    "didInterrupt",
    "registerInterceptor",
    "clearInterceptors",
    "guid",
    "shutdown",
  ] as const) {
    expect(MemFlow[name]).toBeTypeOf("function");
  }
  const calls = [
    "proxyActivities",
    "execChild",
    "executeChild",
    "startChild",
    "sleepFor",
    "sleep",
    "waitFor",
    "signal",
    "hook",
    "execHook",
    "entity",
    "random",
    "didInterrupt",
    "getContext",
    "workflowInfo",
  ] as const;
  for (const name of calls) expect(MemFlow.workflow[name]).toBeTypeOf("function");
});

test("connecting echoes the configuration; client, pool class, pool and string all reach the store", async () => {
  const { start, url, namespace } = await served();
  const pool = new pg.Pool({ connectionString: url, max: 1 });
  onTestFinished(() => pool.end());
  const options = { connectionString: url };
  const connections = [
    await MemFlow.Connection.connect({ class: pg.Client, options }),
    { class: pg.Pool, options },
    { class: pool },
    pool,
    url,
    options,
    { store: { class: pg.Client, options }, stream: {}, sub: {} },
    { class: pg.Client, options, readonly: true },
  ];
  expect(connections[0]).toEqual({ class: pg.Client, options });
  const { workflowId } = await start("echo", [1]);
  for (const connection of connections) {
    const client = new sdk.Client({ connection, namespace });
    const handle = await client.workflow.getHandle(QUEUE, "echo", workflowId);
    expect(await handle.result()).toEqual([1]);
  }
  expect(pool.totalCount).toBe(0);
});

test("didInterrupt is false for every failure that user code can catch", () => {
  const failures = [
    new Error("plain"),
    new FatalError("598"),
    new MaxedError("597"),
    new TimeoutError("596"),
    new sdk.RetryError("599"),
    new sdk.InterruptedError({ workflowId: "w" }),
    "text",
    undefined,
    null,
    { code: 598 },
  ];
  for (const failure of failures) {
    expect(MemFlow.didInterrupt(failure)).toBe(false);
    expect(MemFlow.workflow.didInterrupt(failure)).toBe(false);
  }
});

test("an activity is executed as often as its policy says, and not at all after a final error", async () => {
  const { start } = await served();
  expect(await (await start("tries", ["third", 3])).result()).toBe(3);
  const failing = await start("tries", ["fourth", 4, "coded"], { config: ONCE });
  await expect(failing.result()).rejects.toMatchObject({
    name: "RangeError",
    message: "attempt 3",
    code: "E_MINE",
    detail: { a: 1 },
  });
  await expect(failing.result()).rejects.toBeInstanceOf(RangeError);
  for (const [name, code, type] of [
    ["Fatal", 598, FatalError],
    ["Maxed", 597, MaxedError],
    ["Timeout", 596, TimeoutError],
  ] as const) {
    const handle = await start("tries", [name, 2, name]);
    await expect(handle.result()).rejects.toMatchObject({ message: "attempt 1", code });
    await expect(handle.result()).rejects.toBeInstanceOf(type);
    expect(attempts.get(name)).toBe(1);
  }
});

test("a workflow that fails starts anew by its config; a fatal error ends it at once", async () => {
  const { start } = await served();
  const config = { maximumAttempts: 3, backoffCoefficient: 1, initialInterval: 1 };
  expect(await (await start("risesAtLast", [], { config })).result()).toBe(3);
  const falls = await start("falls", ["always"], { config });
  await expect(falls.result()).rejects.toMatchObject({ name: "RangeError", message: "always" });
  const failed = (await falls.history()).filter(({ kind }) => kind === "attempt_failed");
  expect(failed).toHaveLength(2);
  const fatal = await start("fallsFatally", ["at once"], { config });
  await expect(fatal.result()).rejects.toMatchObject({ code: 598, message: "at once" });
  expect(await fatal.history()).toEqual([]);
});

test("throwOnError false gives failures as results: of activities, of children, of the run itself", async () => {
  const { start } = await served();
  const [refused, child] = await (await start("lenient")).result<[object, object]>();
  expect(refused).toMatchObject({ name: "MemFlowFatalError", message: "refused", code: 598 });
  expect(child).toMatchObject({ name: "RangeError", message: "child" });
  const falls = await start("falls", ["mine"], { config: ONCE });
  expect(await falls.result({ throwOnError: false })).toMatchObject({ name: "RangeError", message: "mine" });
});

test("a live id is refused to clients and to workflows, an ended one is free again", async () => {
  const { start, client } = await served();
  const first = await start("waits", [], { workflowId: "taken" });
  const again = start("waits", [], { workflowId: "taken" });
  await expect(again).rejects.toBeInstanceOf(DuplicateJobError);
  await expect(again).rejects.toMatchObject({
    name: "DuplicateJobError",
    message: "Duplicate job: taken",
    jobId: "taken",
  });
  expect(await (await start("collides")).result()).toEqual({
    name: "DuplicateJobError",
    message: "Duplicate job: taken",
    code: "DUPLICATE_JOB",
    known: true,
  });
  await first.signal("go", 1);
  await first.result();
  const second = await start("echo", [2], { workflowId: "taken" });
  expect(second.runId).not.toBe(first.runId);
  expect((await client.workflow.getHandle("taken")).runId).toBe(second.runId);
  expect([await first.result(), await second.result()]).toEqual([1, [2]]);
});

test("one id may live in two namespaces", async () => {
  const here = await served();
  const there = await served();
  const [first, second] = await Promise.all([
    here.start("echo", ["here"], { workflowId: "same" }),
    there.start("echo", ["there"], { workflowId: "same" }),
  ]);
  expect([await first.result(), await second.result()]).toEqual([["here"], ["there"]]);
});

test("entity stands for queue and name where these are absent", async () => {
  const { worker, client } = await setup();
  await worker({ taskQueue: "order", workflow: { order: async (id: number) => await Promise.resolve(id) } });
  const handle = await client.workflow.start({ entity: "order", args: [7] });
  expect(await handle.result()).toBe(7);
});

test("an interrupted run rejects with 410, its reason and its id, and counts as far below zero", async () => {
  const { start } = await served();
  const handle = await start("waits");
  const waiting = handle.result();
  await handle.interrupt({ reason: "no longer wanted" });
  await expect(waiting).rejects.toMatchObject({
    code: 410,
    message: "no longer wanted",
    job_id: handle.workflowId,
  });
  expect(await handle.status()).toBeLessThan(-1_000_000);
  await expect(handle.interrupt()).rejects.toMatchObject({ code: "RUN_CLOSED", status: "canceled" });
  await handle.interrupt({ suppress: true });
});

test("an interrupt that does not throw gives undefined to who waits", async () => {
  const { start } = await served();
  const handle = await start("waits");
  const waiting = handle.result();
  await handle.interrupt({ throw: false });
  expect(await waiting).toBeUndefined();
});

test("descend interrupts the children too; without it they stay", async () => {
  const { start, client } = await served();
  for (const descend of [false, true]) {
    const parent = await start("parent");
    const child = await eventually(
      "the child",
      async () =>
        await client.workflow.getHandle("the-child").then(
          async (handle) => ((await handle.status()) === 1 ? handle : undefined),
          () => undefined,
        ),
    );
    await parent.interrupt({ descend });
    await expect(parent.result()).rejects.toMatchObject({ code: 410 });
    if (descend) await expect(child.result()).rejects.toMatchObject({ code: 410 });
    else {
      expect(await child.status()).toBe(1);
      await child.terminate();
    }
  }
});

test("a child that is interrupted fails its parent with 410", async () => {
  const { start, client } = await served();
  const parent = await start("parent", [], { config: ONCE });
  const child = await eventually("the child", () =>
    client.workflow.getHandle("the-child").catch(() => undefined),
  );
  await child.interrupt();
  await expect(parent.result()).rejects.toMatchObject({ code: 410 });
});

test("state, status and export tell of a running and of an ended run", async () => {
  const { start } = await served();
  const handle = await start("waits");
  await handle.signal("other", { kept: true });
  expect([await handle.status(), (await handle.state()).done]).toEqual([1, false]);
  await handle.signal("go", { a: [1] });
  await handle.result();
  const state = { done: true, response: { a: [1] }, workflowId: handle.workflowId };
  expect(await handle.state()).toMatchObject(state);
  expect(await handle.state(true)).toMatchObject({ metadata: { js: 0, workflowName: "waits" }, data: state });
  const whole = await handle.export();
  expect(Object.keys(whole).toSorted()).toEqual([
    "data",
    "entity",
    "entityLog",
    "format",
    "run",
    "state",
    "status",
    "timeline",
    "transitions",
  ]);
  expect(whole).toMatchObject({ status: 0, entity: {}, state: { data: state, metadata: { js: 0 } } });
  expect(whole.timeline?.map(({ kind, name }) => [kind, name])).toEqual([
    ["signal_received", "other"],
    ["signal_received", "go"],
  ]);
  expect(whole.transitions?.map(({ status }) => status)).toEqual(["running", "completed"]);
  expect(Object.keys(await handle.export({ allow: ["status", "state"], block: ["state"] }))).toEqual([
    "format",
    "status",
  ]);
  const bare = await handle.export({ values: false });
  expect(JSON.stringify(bare)).not.toContain("kept");
  expect(bare.timeline?.some((event) => "payload" in event)).toBe(false);
  expect(bare.state?.data).not.toHaveProperty("response");
});

test("results may be asked for again and at the same time, also of runs that others started", async () => {
  const { start, client } = await served();
  const handle = await start("waits");
  const other = await client.workflow.getRun(handle.runId);
  const asked = [handle.result(), handle.result(), other.result()];
  await handle.signal("go", "");
  expect(await Promise.all(asked)).toEqual(["", "", ""]);
  expect(await handle.result()).toBe("");
});

test("what a run knows of itself is right, differs between runs, and is the same when it is repeated", async () => {
  const store = await setup();
  await store.worker({ taskQueue: QUEUE, workflow, options: { paranoid: true } });
  const runs = await Promise.all(
    [1, 2].map(async () => await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "asks" })),
  );
  const told = await Promise.all(runs.map((run) => run.result<Record<string, unknown>>()));
  for (const [index, { inner, slept, named }] of told.entries()) {
    const { runId, workflowId } = runs[index] ?? {};
    const topic = `${QUEUE}-asks`;
    expect(inner).toEqual({
      runId,
      workflowId,
      workflowName: "asks",
      taskQueue: QUEUE,
      workflowTopic: topic,
      isHook: false,
    });
    expect(slept).toEqual([0.001, 0.002]);
    expect(named).toBe("found");
  }
  const drawn = told.flatMap(({ random, again, guid }) => [random, again, guid]);
  expect(new Set(drawn).size).toBe(6);
});

test("shutting down twice is no error, and leaves nothing that could be asked", async () => {
  const { start } = await served();
  const handle = await start("waits");
  await MemFlow.shutdown();
  await MemFlow.shutdown();
  await expect(handle.status()).rejects.toBeInstanceOf(sdk.MemFlowError);
});
