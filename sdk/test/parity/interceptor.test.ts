/**
 * Parity with HotMesh's `interceptor`: code around workflows and around their activities.
 */
import { MemFlow } from "@memflow/sdk";
import type { ActivityInterceptor, WorkflowInterceptor } from "@memflow/sdk";
import { beforeEach, expect, test } from "vitest";
import { setup } from "../setup.ts";
import { QUEUE, serving } from "./serving.ts";

beforeEach(() => MemFlow.clearInterceptors());

/** What has happened outside the runs: each activity's execution. */
const executed: string[] = [];
beforeEach(() => void (executed.length = 0));

const { greet } = MemFlow.workflow.proxyActivities({
  activities: {
    greet: (name: string): string => {
      executed.push(`greet ${name}`);
      return `hello ${name}`;
    },
  },
});
const { audit } = MemFlow.workflow.proxyActivities<{ audit(what: string): string }>({
  activities: {
    audit: (what: string): string => {
      executed.push(`audit ${what}`);
      return `audited ${what}`;
    },
  },
  taskQueue: "parity-interceptors",
});
/** Names alone: other workers have the functions. */
const remote = MemFlow.workflow.proxyActivities<{ charge(cents: number): string }>({
  taskQueue: "parity-payments",
});
const mail = MemFlow.workflow.proxyActivities<{ send(text: string): string }>({ taskQueue: "parity-mail" });

const workflow = {
  greets: async (name: string) => await greet(name),
  fails: async () => await Promise.reject(new RangeError("on purpose")),
  greetsTwice: async () => [await greet("a"), await greet("b")],
  "with-a-dash": async () => await Promise.resolve("dashed"),
  charges: async () => await remote.charge(100),
  chargesAndMails: async () => await Promise.all([remote.charge(200), mail.send("paid")]),
};

const noteInMemory = async (note: string): Promise<unknown> => {
  const memory = await MemFlow.workflow.entity();
  return await memory.append("notes", note);
};

function noting(name: string): WorkflowInterceptor {
  return {
    execute: async (_ctx, next) => {
      await noteInMemory(`${name} before`);
      try {
        return await next();
      } catch (error) {
        await noteInMemory(`${name} saw ${(error as Error).message}`);
        throw error;
      } finally {
        await noteInMemory(`${name} after`);
      }
    },
  };
}

function notingCalls(name: string): ActivityInterceptor {
  return {
    execute: async ({ activityName, args }, _ctx, next) => {
      await noteInMemory(`${name} before ${activityName} ${args.join()}`);
      const result = await next();
      await noteInMemory(`${name} after ${activityName} ${String(result)}`);
      return result;
    },
  };
}

test("logging, then metrics, then the workflow: the first registered is the outermost", async () => {
  const { start } = await serving(workflow);
  MemFlow.registerInterceptor(noting("logging"));
  MemFlow.registerInterceptor(noting("metrics"));
  const handle = await start("greets", ["you"]);
  expect(await handle.result()).toBe("hello you");
  expect(await handle.entity()).toEqual({
    notes: ["logging before", "metrics before", "metrics after", "logging after"],
  });
});

test("an interceptor sees the error of the workflow, and the result rejects with it", async () => {
  const { start } = await serving(workflow);
  MemFlow.registerInterceptor(noting("errors"));
  const handle = await start("fails", [], { config: { maximumAttempts: 1 } });
  await expect(handle.result()).rejects.toMatchObject({ name: "RangeError", message: "on purpose" });
  expect(await handle.entity()).toEqual({
    notes: ["errors before", "errors saw on purpose", "errors after"],
  });
});

test("the context names the workflow, its id, topic and namespace, and whether it may be tried again", async () => {
  const { start, namespace } = await serving(workflow);
  const seen: Map<string, unknown>[] = [];
  MemFlow.registerInterceptor({
    execute: async (ctx, next) => {
      seen.push(new Map(ctx));
      return await next();
    },
  });
  const handle = await start("with-a-dash", [], { workflowId: "known" });
  expect(await handle.result()).toBe("dashed");
  expect(Object.fromEntries(seen[0] ?? [])).toMatchObject({
    workflowName: "with-a-dash",
    workflowId: "known",
    workflowTopic: `${QUEUE}-with-a-dash`,
    namespace,
    canRetry: true,
  });
  for (const key of [
    "replay",
    "workflowTrace",
    "workflowSpan",
    "workflowDimension",
    "raw",
    "expire",
    "counter",
  ])
    expect(seen[0]?.has(key)).toBe(true);
});

test("an interceptor sleeps before and after the workflow, and the replay runs it again", async () => {
  const { client, worker } = await setup();
  let entered = 0;
  MemFlow.registerInterceptor({
    execute: async (_ctx, next) => {
      entered += 1;
      const before = await MemFlow.workflow.sleepFor("10 milliseconds");
      const result = await next();
      const after = await MemFlow.workflow.sleepFor("20 milliseconds");
      return { before, result, after };
    },
  });
  await worker({ taskQueue: QUEUE, workflow, options: { paranoid: true } });
  const handle = await client.workflow.start({ taskQueue: QUEUE, workflowName: "greets", args: ["you"] });
  expect(await handle.result()).toEqual({ before: 0.01, result: "hello you", after: 0.02 });
  expect(entered).toBeGreaterThan(1);
  expect(executed).toEqual(["greet you"]);
});

test("an interceptor calls activities of a queue of its own", async () => {
  const { start, worker } = await serving(workflow);
  await worker({ taskQueue: "parity-interceptors", activities: {} });
  MemFlow.registerInterceptor({
    execute: async (_ctx, next) => [await audit("before"), await next(), await audit("after")],
  });
  const handle = await start("greets", ["you"]);
  expect(await handle.result()).toEqual(["audited before", "hello you", "audited after"]);
  expect(executed).toEqual(["audit before", "greet you", "audit after"]);
});

test("registerActivityWorker serves a queue, again for a second call, and names alone reach it", async () => {
  const { start, connection, namespace } = await serving(workflow);
  const charge = (cents: number): string => `charged ${cents}`;
  const first = await MemFlow.registerActivityWorker(
    { connection, namespace },
    { charge },
    "parity-payments",
  );
  const again = await MemFlow.registerActivityWorker(
    { connection, namespace },
    { charge },
    "parity-payments",
  );
  expect(again).toBe(first);
  expect(await (await start("charges")).result()).toBe("charged 100");
});

test("one workflow uses activities of two queues", async () => {
  const { start, connection, namespace } = await serving(workflow);
  await MemFlow.registerActivityWorker(
    { connection, namespace },
    { charge: (cents: number): string => `charged ${cents}` },
    "parity-payments",
  );
  await MemFlow.registerActivityWorker(
    { connection, namespace },
    { send: (text: string): string => `sent ${text}` },
    "parity-mail",
  );
  expect(await (await start("chargesAndMails")).result()).toEqual(["charged 200", "sent paid"]);
});

test("an activity interceptor is around every call of an activity, before and after", async () => {
  const { start } = await serving(workflow);
  MemFlow.registerActivityInterceptor(notingCalls("calls"));
  const handle = await start("greetsTwice");
  expect(await handle.result()).toEqual(["hello a", "hello b"]);
  expect(await handle.entity()).toEqual({
    notes: [
      "calls before greet a",
      "calls after greet hello a",
      "calls before greet b",
      "calls after greet hello b",
    ],
  });
});

test("an activity interceptor sleeps, and calls activities of its own", async () => {
  const { start, worker } = await serving(workflow);
  await worker({ taskQueue: "parity-interceptors", activities: {} });
  MemFlow.registerActivityInterceptor({
    execute: async ({ activityName }, _ctx, next) => {
      if (activityName === "audit") return await next();
      await MemFlow.workflow.sleepFor("10 milliseconds");
      await audit(activityName);
      return `${String(await next())}, ${await audit("after")}`;
    },
  });
  expect(await (await start("greets", ["you"])).result()).toBe("hello you, audited after");
  expect(executed).toEqual(["audit greet", "greet you", "audit after"]);
});

test("activity interceptors are layers: the first registered is the outermost, at each call", async () => {
  const { start } = await serving(workflow);
  MemFlow.registerActivityInterceptor(notingCalls("outer"));
  MemFlow.registerActivityInterceptor(notingCalls("inner"));
  const handle = await start("greetsTwice");
  await handle.result();
  const layers = (name: string): string[] => [
    `outer before greet ${name}`,
    `inner before greet ${name}`,
    `inner after greet hello ${name}`,
    `outer after greet hello ${name}`,
  ];
  expect(await handle.entity()).toEqual({ notes: [...layers("a"), ...layers("b")] });
});

test("workflow and activity interceptors work together, and clearing the one clears the other", async () => {
  const { start } = await serving(workflow);
  MemFlow.registerInterceptor(noting("workflow"));
  MemFlow.registerActivityInterceptor(notingCalls("calls"));
  const handle = await start("greets", ["you"]);
  await handle.result();
  expect(await handle.entity()).toEqual({
    notes: ["workflow before", "calls before greet you", "calls after greet hello you", "workflow after"],
  });
  MemFlow.clearInterceptors();
  const plain = await start("greets", ["me"]);
  await plain.result();
  expect(await plain.entity()).toEqual({});
});
