/**
 * Every name and option of MemFlow's public API is there, by its own name; what belongs to HotMesh's engine is not.
 */
import * as sdk from "@memflow/sdk";
import { Client, Durable, MemFlow, Worker } from "@memflow/sdk";
import pg from "pg";
import { expect, test } from "vitest";
import { setup } from "../setup.ts";
import { QUEUE, serving } from "./serving.ts";

const EXPORTS: readonly string[] = [
  "MemFlow",
  "Client",
  "Connection",
  "Worker",
  "workflow",
  "WorkflowHandle",
  "Search",
  "Entity",
  "proxyActivities",
  "Errors",
  "Enums",
];
/** HotMesh's own engine and its other products. */
const NOT_OURS: readonly string[] = ["HotMesh", "MeshCall", "ConnectorService", "Utils", "KeyStore", "Types"];

const MEMBERS = [
  "Client",
  "Connection",
  "Search",
  "Entity",
  "Handle",
  "Worker",
  "workflow",
  "didInterrupt",
  "registerInterceptor",
  "clearInterceptors",
  "registerActivityInterceptor",
  "clearActivityInterceptors",
  "registerActivityWorker",
  "guid",
  "shutdown",
] as const;

const CALLS = [
  "proxyActivities",
  "execChild",
  "executeChild",
  "startChild",
  "sleepFor",
  "sleep",
  "waitFor",
  "condition",
  "signal",
  "hook",
  "execHook",
  "execHookBatch",
  "entity",
  "search",
  "enrich",
  "emit",
  "trace",
  "random",
  "interrupt",
  "all",
  "didInterrupt",
  "didRun",
  "isSideEffectAllowed",
  "getContext",
  "workflowInfo",
] as const;

/** Those of the names that are no functions of an object or class. */
function withoutCalls<Name extends string>(
  object: Readonly<Record<Name, unknown>>,
  names: readonly Name[],
): readonly Name[] {
  return names.filter((name) => typeof object[name] !== "function");
}

test("the package exports every name of MemFlow's", () => {
  expect(Object.keys(sdk)).toEqual(expect.arrayContaining([...EXPORTS]));
  expect(sdk.proxyActivities).toBe(MemFlow.workflow.proxyActivities);
});

test("the package exports nothing of HotMesh's own engine", () => {
  const exported = new Set(Object.keys(sdk));
  expect(NOT_OURS.filter((name) => exported.has(name))).toEqual([]);
  expect(MemFlow).not.toHaveProperty("getInterceptorService");
  expect(MemFlow.workflow).not.toHaveProperty("getHotMesh");
  expect(Worker).not.toHaveProperty("getHotMesh");
  expect(Worker).not.toHaveProperty("registerActivities");
});

test("MemFlow has every static member, and Durable is its later name", () => {
  expect(withoutCalls(MemFlow, MEMBERS)).toEqual([]);
  expect(Durable).toBe(MemFlow);
  expect([sdk.Client, sdk.Worker, sdk.Connection, sdk.Search, sdk.Entity, sdk.workflow]).toEqual([
    MemFlow.Client,
    MemFlow.Worker,
    MemFlow.Connection,
    MemFlow.Search,
    MemFlow.Entity,
    MemFlow.workflow,
  ]);
});

test("workflow has every function", () => {
  expect(withoutCalls(MemFlow.workflow, CALLS)).toEqual([]);
});

test("guid gives H and 22 letters and digits, another each time, and as many as asked for", () => {
  expect(MemFlow.guid()).toMatch(/^H[0-9A-Za-z]{22}$/u);
  expect(MemFlow.guid(8)).toMatch(/^H[0-9A-Za-z]{8}$/u);
  expect(MemFlow.guid()).not.toBe(MemFlow.guid());
});

test("a client has every call of MemFlow's", () => {
  const client = new Client({ connection: { class: pg.Client, options: {} } });
  expect(withoutCalls(client.workflow, ["start", "signal", "hook", "getHandle", "search"])).toEqual([]);
  expect(withoutCalls(client, ["deployAndActivate", "getHotMeshClient"])).toEqual([]);
});

test("a handle has every field and call of MemFlow's", async () => {
  const { start } = await serving({ done: async () => await Promise.resolve("done") });
  const handle = await start("done", [], { workflowId: "handled" });
  expect(handle).toMatchObject({ workflowId: "handled", workflowTopic: `${QUEUE}-done` });
  const calls = [
    "result",
    "signal",
    "state",
    "status",
    "queryState",
    "interrupt",
    "terminate",
    "export",
  ] as const;
  expect(withoutCalls(handle, calls)).toEqual([]);
  expect(handle.hotMesh).toBeTypeOf("object");
  expect(await handle.result()).toBe("done");
});

test("a worker has every call of MemFlow's; run returns, for it runs already; every function of a record is served", async () => {
  const { client, worker } = await setup();
  const created = await worker({
    taskQueue: QUEUE,
    workflow: {
      first: async () => await Promise.resolve("first"),
      second: async () => await Promise.resolve("second"),
    },
    options: { logLevel: "debug", maximumAttempts: 5, backoffCoefficient: 2, maximumInterval: "1 minute" },
  });
  await created.run();
  expect(withoutCalls(Worker, ["create", "shutdown"])).toEqual([]);
  for (const workflowName of ["first", "second"])
    expect(await client.workflow.execute({ taskQueue: QUEUE, workflowName })).toBe(workflowName);
});

test("a worker serves one function by its name, and several workers of a process their own", async () => {
  const { client, worker } = await setup();
  async function alpha(): Promise<string> {
    return await Promise.resolve("alpha");
  }
  const beta = async (): Promise<string> => await Promise.resolve("beta");
  await Promise.all([
    worker({ taskQueue: QUEUE, workflow: alpha }),
    worker({ taskQueue: "parity-beta", workflow: beta }),
  ]);
  expect(await client.workflow.execute({ taskQueue: QUEUE, workflowName: "alpha" })).toBe("alpha");
  expect(await client.workflow.execute({ taskQueue: "parity-beta", workflowName: "beta" })).toBe("beta");
});

test("a start takes every option of MemFlow's that is not its engine's", async () => {
  const { start, namespace } = await serving({ told: async (value: string) => await Promise.resolve(value) });
  const handle = await start("told", ["all"], {
    namespace,
    entity: "told",
    workflowId: "all-options",
    originJobId: "origin",
    workflowTrace: "4bf92f3577b34da6a3ce929d0e0e4736",
    workflowSpan: "00f067aa0ba902b7",
    search: { data: { seeded: "yes" } },
    config: { maximumAttempts: 2, backoffCoefficient: 2, maximumInterval: "30s", throwOnError: true },
    expire: 60,
    signalIn: true,
    await: true,
  });
  expect(await handle.result()).toBe("all");
});

test("a run without a workflow id gets one", async () => {
  const { start } = await serving({ done: async () => await Promise.resolve("done") });
  const { workflowId } = await start("done");
  expect(workflowId).toMatch(/^H[0-9A-Za-z]{22}$/u);
});
