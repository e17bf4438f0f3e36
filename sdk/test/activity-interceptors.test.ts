/**
 * Activity interceptors: around every call, in their order, part of the run and replayed with it.
 */
import { MemFlow } from "@memflow/sdk";
import type { ActivityInterceptor } from "@memflow/sdk";
import { beforeEach, expect, test } from "vitest";
import { eventually, setup } from "./setup.ts";

const QUEUE = "activity-interceptors";
const ONCE = { maximumAttempts: 1 };

let executions: string[] = [];
let notes: string[] = [];
beforeEach(() => {
  MemFlow.clearInterceptors();
  executions = [];
  notes = [];
});

const { greet, refuse } = MemFlow.workflow.proxyActivities({
  activities: {
    greet: (name: string): string => {
      executions.push(name);
      return `hello ${name}`;
    },
    refuse: (): never => {
      throw new RangeError("refused");
    },
  },
  retryPolicy: ONCE,
});
const { audit } = MemFlow.workflow.proxyActivities<{ audit(line: string): string }>({
  activities: {
    audit: (line: string): string => {
      executions.push(`audit ${line}`);
      return line;
    },
  },
});

const workflow = {
  greetsTwice: async () => [await greet("one"), await greet("two")],
  greetsAndWaits: async () => {
    const greeting = await greet("you");
    return [greeting, await MemFlow.workflow.waitFor("go")];
  },
  fails: async () => await refuse(),
  recovers: async () => {
    try {
      return await refuse();
    } catch (error) {
      if (MemFlow.didInterrupt(error)) throw error;
      return "recovered";
    }
  },
  greetsAtOnce: async () => await Promise.all([greet("a"), greet("b"), MemFlow.workflow.sleepFor(1)]),
  hooks: async () =>
    await MemFlow.workflow.execHook({ taskQueue: QUEUE, workflowName: "greetsTwice", args: [] }),
};

/** Notes what it sees, in this process's memory: again in each replay. */
function noting(name: string): ActivityInterceptor {
  return {
    execute: async ({ activityName, args }, _ctx, next) => {
      notes.push(`${name} before ${activityName} ${String(args[0])}`);
      try {
        const result = await next();
        notes.push(`${name} after ${String(result)}`);
        return result;
      } catch (error) {
        notes.push(`${name} saw ${(error as Error).message}`);
        throw error;
      }
    },
  };
}

async function served(options: { readonly paranoid?: boolean } = {}) {
  const store = await setup();
  const worker = await store.worker({ taskQueue: QUEUE, workflow, options });
  const start = (workflowName: string) =>
    store.client.workflow.start({ taskQueue: QUEUE, workflowName, config: ONCE });
  return { ...store, first: worker, start };
}

test("the first registered is the outermost around each call, and sees result and error of the next", async () => {
  const { start } = await served();
  MemFlow.registerActivityInterceptor(noting("outer"));
  MemFlow.registerActivityInterceptor(noting("inner"));
  expect(await (await start("greetsTwice")).result()).toEqual(["hello one", "hello two"]);
  const around = (name: string): string[] => [
    `outer before greet ${name}`,
    `inner before greet ${name}`,
    `inner after hello ${name}`,
    `outer after hello ${name}`,
  ];
  expect(notes).toEqual([...around("one"), ...around("two")]);
  notes = [];
  await expect((await start("fails")).result()).rejects.toMatchObject({
    name: "RangeError",
    message: "refused",
  });
  expect(notes.filter((note) => note.includes("saw"))).toEqual(["inner saw refused", "outer saw refused"]);
  expect(await (await start("recovers")).result()).toBe("recovered");
});

test("they know the call and the run, change its arguments and result, and answer in its place", async () => {
  const { start, namespace } = await served({ paranoid: true });
  let seen: unknown;
  MemFlow.registerActivityInterceptor({
    execute: async (activityCtx, ctx, next) => {
      seen = { ...activityCtx, queue: ctx.get("taskQueue"), namespace: ctx.get("namespace") };
      if (activityCtx.args[0] === "two") return "answered";
      activityCtx.args = [`dear ${String(activityCtx.args[0])}`];
      return `${String(await next())}!`;
    },
  });
  expect(await (await start("greetsTwice")).result()).toEqual(["hello dear one!", "answered"]);
  expect(executions).toEqual(["dear one"]);
  expect(seen).toMatchObject({
    activityName: "greet",
    args: ["two"],
    options: { retryPolicy: ONCE },
    queue: QUEUE,
    namespace,
  });
});

test("they use sleeps, the entity and activities of their own, which they do not wrap again", async () => {
  const { start } = await served({ paranoid: true });
  MemFlow.registerActivityInterceptor({
    execute: async ({ activityName }, _ctx, next) => {
      const entity = await MemFlow.workflow.entity();
      await entity.append("calls", activityName);
      await MemFlow.workflow.sleepFor("1 millisecond");
      const result = await next();
      await audit(`${activityName} gave ${String(result)}`);
      return result;
    },
  });
  MemFlow.registerActivityInterceptor(noting("inner"));
  const handle = await start("greetsTwice");
  expect(await handle.result()).toEqual(["hello one", "hello two"]);
  expect(await handle.entity()).toEqual({ calls: ["greet", "greet"] });
  expect(executions).toEqual(["one", "audit greet gave hello one", "two", "audit greet gave hello two"]);
  expect(notes.filter((note) => note.includes("audit"))).toEqual([]);
});

test("they are around the calls of hooks, and around calls that are made at once", async () => {
  const { start } = await served({ paranoid: true });
  const entered: string[] = [];
  MemFlow.registerActivityInterceptor({
    execute: async ({ args }, ctx, next) => {
      if (ctx.get("replay") !== true) entered.push(`${String(ctx.get("workflowName"))} ${String(args[0])}`);
      return await next();
    },
  });
  expect(await (await start("hooks")).result()).toEqual(["hello one", "hello two"]);
  expect(await (await start("greetsAtOnce")).result()).toEqual(["hello a", "hello b", 0.001]);
  expect(entered).toEqual(["greetsTwice one", "greetsTwice two", "greetsAtOnce a", "greetsAtOnce b"]);
});

test("a worker that takes the run over repeats them with the recorded result, and no attempt", async () => {
  const { first, start, worker, query } = await served();
  MemFlow.registerActivityInterceptor({
    execute: async ({ activityName }, _ctx, next) => {
      const entity = await MemFlow.workflow.entity();
      const result = await next();
      await entity.append("after", `${activityName} ${String(result)}`);
      return result;
    },
  });
  MemFlow.registerActivityInterceptor(noting("inner"));
  const handle = await start("greetsAndWaits");
  await eventually("it waits", async () => (await query("select from waits")).length === 1);
  const live = notes;
  notes = [];
  await first.shutdown();
  await worker({ taskQueue: QUEUE, workflow });
  await handle.signal("go", "went");
  expect(await handle.result()).toEqual(["hello you", "went"]);
  expect(notes).toEqual(live);
  expect(executions).toEqual(["you"]);
  expect(await handle.entity()).toEqual({ after: ["greet hello you"] });
});

test("clearing the interceptors clears both kinds, clearing those of activities these alone", async () => {
  const { start } = await served();
  let runs = 0;
  MemFlow.registerInterceptor({
    execute: async (_ctx, next) => {
      runs += 1;
      return await next();
    },
  });
  MemFlow.registerActivityInterceptor(noting("gone"));
  MemFlow.clearActivityInterceptors();
  await (await start("greetsTwice")).result();
  expect({ runs, notes }).toEqual({ runs: 1, notes: [] });
  MemFlow.registerActivityInterceptor(noting("gone"));
  MemFlow.clearInterceptors();
  await (await start("greetsTwice")).result();
  expect({ runs, notes }).toEqual({ runs: 1, notes: [] });
});
