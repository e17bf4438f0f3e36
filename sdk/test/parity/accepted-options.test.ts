/**
 * Options of HotMesh that mean nothing here are taken without harm, so that its users' code runs as it stands.
 */
import { Client, MemFlow, Search } from "@memflow/sdk";
import { expect, onTestFinished, test, vi } from "vitest";
import { setup } from "../setup.ts";
import { AT_ONCE, QUEUE, serving } from "./serving.ts";

const done = async (value: string): Promise<string> => await Promise.resolve(`done ${value}`);

test("a worker takes HotMesh's search and guid", async () => {
  const { client, worker } = await setup();
  await worker({
    taskQueue: QUEUE,
    workflow: done,
    guid: "worker-1",
    search: { index: "done", prefix: "d", schema: { custom: { type: "TEXT" } } },
  });
  const started = { taskQueue: QUEUE, workflowName: "done", args: ["here"] };
  expect(await client.workflow.execute(started)).toBe("done here");
});

test("a start takes HotMesh's parentWorkflowId, marker, guid and declared search index", async () => {
  const { client, start } = await serving({ done });
  const handle = await start("done", ["too"], {
    parentWorkflowId: "nobody",
    marker: "any",
    guid: "client-1",
    search: { index: "done", prefix: "d", schema: { custom: { type: "TEXT" } }, data: { custom: "value" } },
  });
  expect(await handle.result()).toBe("done too");
  expect(await Search.findAllUserData(handle.workflowId, client)).toEqual({ custom: "value" });
});

test("a proxy takes HotMesh's expire, and retry as the later name of retryPolicy", async () => {
  let executions = 0;
  const { stumble } = MemFlow.workflow.proxyActivities({
    activities: {
      stumble: (): number => {
        executions += 1;
        if (executions === 1) throw new Error("once");
        return executions;
      },
    },
    expire: "5 minutes",
    retry: { maximumAttempts: 2, ...AT_ONCE },
  });
  const { start } = await serving({ stumbles: async () => await stumble() });
  expect(await (await start("stumbles")).result()).toBe(2);
});

test("HotMesh's environment variables change nothing", async () => {
  onTestFinished(() => void vi.unstubAllEnvs());
  for (const [name, value] of Object.entries({
    HMSH_LOGLEVEL: "silly",
    HMSH_TELEMETRY: "debug",
    HMSH_EXPIRE_JOB_SECONDS: "1",
    HMSH_FIDELITY_SECONDS: "60",
    HMSH_ROUTER_SCOUT_INTERVAL_MS: "600000",
    HOTMESH_POSTGRES_FALLBACK_INTERVAL: "600000",
    HMSH_NOTIFY_PAYLOAD_LIMIT: "1",
    HMSH_SERIALIZER_COMPRESSION_THRESHOLD: "1",
    HMSH_GUID_SIZE: "3",
  }))
    vi.stubEnv(name, value);
  const { start, query } = await serving({
    sleeps: async () => [await MemFlow.workflow.sleepFor("10 milliseconds"), "x".repeat(10_000).length],
  });
  const handle = await start("sleeps");
  expect(await handle.result()).toEqual([0.01, 10_000]);
  expect(handle.workflowId).toHaveLength(23);
  const [run] = await query("select retention_seconds from runs where run_id = $1", [handle.runId]);
  expect(run).toEqual({ retention_seconds: null });
});

test("without notifications polling alone brings starts, signals and results", async () => {
  const { connection, namespace } = await setup();
  const polling = { ...connection, polling: true };
  const client = new Client({ connection: polling, namespace });
  await MemFlow.Worker.create({
    connection: polling,
    namespace,
    taskQueue: QUEUE,
    workflow: { waits: async () => await MemFlow.workflow.waitFor("go") },
    options: { pollMs: 50, sweepMs: 50 },
  });
  const handle = await client.workflow.start({ taskQueue: QUEUE, workflowName: "waits" });
  await handle.signal("go", "polled");
  expect(await handle.result()).toBe("polled");
});
