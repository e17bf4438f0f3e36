/**
 * Failures on their way: from an activity through a workflow, a parent and JSON to whoever waits for the result.
 */
import { Enums, Errors, MemFlow, MemFlowError } from "@memflow/sdk";
import type { ErrorObject } from "@memflow/sdk";
import { expect, test } from "vitest";
import { setup } from "./setup.ts";

const QUEUE = "failures";
const ONCE = { maximumAttempts: 1 } as const;

class OrderError extends RangeError {
  override readonly name = "OrderError";
  readonly order: { readonly id: number };

  constructor(message: string, order: { readonly id: number }, cause: unknown) {
    super(message, { cause });
    this.order = order;
  }
}

const executions = new Map<string, number>();

function count(key: string): number {
  const execution = (executions.get(key) ?? 0) + 1;
  executions.set(key, execution);
  return execution;
}

function makeError(kind: string): Error {
  switch (kind) {
    case "timeout":
      return new Errors.MemFlowTimeoutError("too long");
    case "maxed":
      return new Errors.MemFlowMaxedError("tried enough");
    case "fatal":
      return new Errors.MemFlowFatalError("no way");
    case "retry":
      return new Errors.MemFlowRetryError("once more");
    case "coded":
      return Object.assign(new TypeError("coded"), { code: "E_CODE" });
    default:
      return new OrderError("order 7 is late", { id: 7 }, new SyntaxError("bad date"));
  }
}

const quick = { maximumAttempts: 2, initialInterval: 1, backoffCoefficient: 1 } as const;
const { fail, failOften } = MemFlow.workflow.proxyActivities({
  activities: {
    fail: (kind: string, key: string): never => {
      count(key);
      throw makeError(kind);
    },
    failOften: (key: string, until: number): number => {
      const execution = count(key);
      if (execution < until) throw new Error(`execution ${execution}`);
      return execution;
    },
  },
  retryPolicy: quick,
});
const lenient = MemFlow.workflow.proxyActivities({
  activities: {
    failGently: (kind: string): never => {
      throw makeError(kind);
    },
  },
  retryPolicy: { ...ONCE, throwOnError: false },
});
const aliased = MemFlow.workflow.proxyActivities({
  activities: {
    failByAlias: (key: string): never => {
      throw new Error(`execution ${count(key)}`);
    },
  },
  retry: { maximumAttempts: 4, initialInterval: 1, backoffCoefficient: 1 },
});

const workflow = {
  activityFails: async (kind: string, key: string) => await fail(kind, key),
  workflowFails: async (kind: string, key: string) => {
    count(key);
    return await Promise.reject(makeError(kind));
  },
  parentFails: async (kind: string, key: string) =>
    await MemFlow.workflow.execChild({ workflowName: "activityFails", args: [kind, key], config: ONCE }),
  gently: async (kind: string) => {
    const activity = await lenient.failGently(kind);
    const child = await MemFlow.workflow.execChild({
      workflowName: "workflowFails",
      args: [kind, "gently"],
      config: { ...ONCE, throwOnError: false },
    });
    return { activity, child };
  },
  fallsBack: async (kind: string, key: string) => {
    try {
      return await fail(kind, key);
    } catch (error) {
      if (MemFlow.didInterrupt(error)) throw error;
      const { name, message, code } = error as MemFlowError;
      return { fallback: true, name, message, code };
    }
  },
  counts: async (key: string, until: number) => await failOften(key, until),
  aliased: async (key: string) => await aliased.failByAlias(key),
  returns: async (value: unknown) => await Promise.resolve(value),
  returnsNothing: async () => await Promise.resolve(),
};

async function served() {
  const store = await setup();
  await store.worker({ taskQueue: QUEUE, workflow });
  const start = (workflowName: keyof typeof workflow, args: readonly unknown[], more = {}) =>
    store.client.workflow.start({ taskQueue: QUEUE, workflowName, args, ...more });
  return { ...store, start };
}

test.each(["activityFails", "parentFails"] as const)(
  "class, name, code, message, cause and own fields survive %s up to result()",
  async (workflowName) => {
    const { start } = await served();
    const error: unknown = await (
      await start(workflowName, ["own", workflowName])
    )
      .result()
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(RangeError);
    expect(error).toMatchObject({
      name: "OrderError",
      message: "order 7 is late",
      code: Enums.HMSH_CODE_MEMFLOW_FATAL,
      order: { id: 7 },
      cause: { name: "SyntaxError", message: "bad date" },
    });
    expect((error as Error).cause).toBeInstanceOf(SyntaxError);
    expect((error as Error).stack).toContain("failures.test.ts");
    expect(executions.get(workflowName)).toBe(2);
  },
);

test.each([
  ["timeout", Enums.HMSH_CODE_MEMFLOW_TIMEOUT, Errors.MemFlowTimeoutError, 1],
  ["maxed", Enums.HMSH_CODE_MEMFLOW_MAXED, Errors.MemFlowMaxedError, 1],
  ["fatal", Enums.HMSH_CODE_MEMFLOW_FATAL, Errors.MemFlowFatalError, 1],
  ["retry", Enums.HMSH_CODE_MEMFLOW_RETRYABLE, Errors.MemFlowRetryError, 2],
] as const)(
  "a %s error keeps code %i and its class, and decides about retries",
  async (kind, code, type, times) => {
    const { start } = await served();
    for (const workflowName of ["activityFails", "workflowFails"] as const) {
      const key = `${kind} ${workflowName}`;
      const handle = await start(workflowName, [kind, key], { config: quick });
      const error: unknown = await handle.result().catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(type);
      expect(error).toMatchObject({ code });
      expect(executions.get(key)).toBe(times);
    }
  },
);

test("a workflow whose attempts are used up ends with 597 and its own message, class and stack", async () => {
  const { start } = await served();
  const handle = await start("workflowFails", ["own", "used up"], { config: quick });
  const error: unknown = await handle.result().catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(RangeError);
  expect(error).toMatchObject({ name: "OrderError", message: "order 7 is late", code: 597 });
  expect((error as Error).stack).toContain("failures.test.ts");
  expect(executions.get("used up")).toBe(2);
  const refused = await start("workflowFails", ["own", "refused"], {
    config: { ...quick, nonRetryableErrorTypes: ["OrderError"] },
  });
  await expect(refused.result()).rejects.toMatchObject({ name: "OrderError", code: 598 });
  expect(executions.get("refused")).toBe(1);
  const coded = await start("workflowFails", ["coded", "coded"], { config: ONCE });
  await expect(coded.result()).rejects.toMatchObject({ name: "TypeError", code: "E_CODE" });
});

test("maximumAttempts counts executions, for activities and for workflows", async () => {
  const { start } = await served();
  expect(await (await start("counts", ["twice", 2])).result()).toBe(2);
  const thrice = await start("counts", ["thrice", 3], { config: ONCE });
  await expect(thrice.result()).rejects.toMatchObject({ message: "execution 2", code: 598 });
  expect(executions.get("thrice")).toBe(2);
  const four = await start("aliased", ["four"], { config: ONCE });
  await expect(four.result()).rejects.toMatchObject({ message: "execution 4" });
});

test("without a policy there are 3 executions, 10 and 100 seconds apart, capped at 120", async () => {
  const { start, query } = await served();
  const handle = await start("workflowFails", ["own", "by default"]);
  await expect.poll(async () => (await handle.history()).length, { timeout: 30_000 }).toBe(1);
  const [failed] = await handle.history();
  expect(failed).toMatchObject({ kind: "attempt_failed", payload: { attempt: 1, restartInMs: 10_000 } });
  const { normalizeRetryPolicy } = await import("@memflow/engine");
  expect(normalizeRetryPolicy(undefined, "retryPolicy")).toMatchObject({
    maximumAttempts: 3,
    backoffCoefficient: 10,
    maximumIntervalMs: 120_000,
  });
  expect(await query("select 1 from runs where status = 'running'")).toHaveLength(1);
});

test("throwOnError false gives the error as an object: to the workflow, and to who asks for the result", async () => {
  const { start } = await served();
  const expected = {
    name: "OrderError",
    message: "order 7 is late",
    order: { id: 7 },
    cause: { name: "SyntaxError", message: "bad date" },
  };
  const gentle = await (await start("gently", ["own"])).result<Record<"activity" | "child", ErrorObject>>();
  expect(gentle.activity).toMatchObject({ ...expected, code: 598 });
  expect(gentle.child).toMatchObject({ ...expected, code: 597 });
  const byConfig = await start("workflowFails", ["own", "by config"], {
    config: { ...ONCE, throwOnError: false },
  });
  const object = await byConfig.result<ErrorObject>();
  expect(object).toMatchObject({ ...expected, code: 597 });
  expect(object).not.toBeInstanceOf(Error);
  expect(object.stack).toContain("failures.test.ts");
  await expect(byConfig.result({ throwOnError: true })).rejects.toMatchObject(expected);
  const byCall = await start("workflowFails", ["own", "by call"], { config: ONCE });
  expect(await byCall.result({ throwOnError: false })).toEqual({
    ...object,
    stack: expect.any(String) as string,
  });
});

test("a failed activity that is caught and is no interruption gives way to the fallback", async () => {
  const { start } = await served();
  for (const [kind, code] of [
    ["own", 598],
    ["timeout", 596],
    ["maxed", 597],
    ["fatal", 598],
    ["retry", 599],
  ] as const) {
    const handle = await start("fallsBack", [kind, `fallback ${kind}`]);
    expect(await handle.result()).toMatchObject({ fallback: true, code, message: makeError(kind).message });
  }
});

test("results that are empty, zero, false or null come back as they were, again and at the same time", async () => {
  const { start } = await served();
  for (const value of ["", 0, false, null, [], {}]) {
    const handle = await start("returns", [value]);
    const asked = await Promise.all([handle.result(), handle.result({ state: true }), handle.result()]);
    expect(asked).toEqual([value, value, value]);
    expect(await handle.result()).toEqual(value);
  }
  expect(await (await start("returnsNothing", [])).result()).toBeUndefined();
});

test("the state of a run that is no longer kept is not found, with 404", async () => {
  const { start, query } = await served();
  const handle = await start("returns", [1], { workflowId: "gone" });
  await handle.result();
  await query("delete from runs where run_id = $1", [handle.runId]);
  for (const asked of [handle.status(), handle.state(), handle.state(true), handle.export()]) {
    await expect(asked).rejects.toBeInstanceOf(Errors.GetStateError);
    await expect(asked).rejects.toMatchObject({ code: 404, jobId: "gone" });
    await expect(asked).rejects.toThrow("Job gone not found");
  }
});

test("the names of the interruptions are there, and no failure is one", async () => {
  const {
    MemFlowSleepError,
    MemFlowChildError,
    MemFlowProxyError,
    MemFlowWaitForError,
    MemFlowWaitForAllError,
  } = Errors;
  for (const interruption of [
    MemFlowSleepError,
    MemFlowChildError,
    MemFlowProxyError,
    MemFlowWaitForError,
    MemFlowWaitForAllError,
  ]) {
    expect(MemFlow.didInterrupt(new interruption("internal"))).toBe(true);
    for (const kind of ["timeout", "maxed", "fatal", "retry", "own"])
      expect(makeError(kind)).not.toBeInstanceOf(interruption);
  }
  await Promise.resolve();
});
