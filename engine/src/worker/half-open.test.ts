/** Connections that fall silent after a commit: the statement's timeout finds them, and nothing is done twice. */
import { expect, onTestFinished, test } from "vitest";
import { StoreClient } from "../client/store-client.ts";
import type { StartRequest } from "../client/store-client.ts";
import type { Invoke } from "../replay/run-machine.ts";
import { resolveConnection } from "../store/connection-source.ts";
import { newId } from "../store/new-id.ts";
import { durable } from "../testing/hand-driven-run.ts";
import { makeScratchStore } from "../testing/scratch-store.ts";
import { startTcpProxy } from "../testing/tcp-proxy.ts";
import { testDatabaseUrl, testDatabaseUrlWith } from "../testing/test-database.ts";
import { eventually } from "../testing/eventually.ts";
import { activityRegistry } from "./activity-registry.ts";
import type { WorkerLog } from "./worker-options.ts";
import { EngineWorker } from "./worker.ts";

const QUEUE = "half-open";

/** Sessions wait 15 s for an answer; the worker's claims do so one after another. */
const TEST_TIMEOUT_MS = 120_000;

function request(workflowId: string, workflowName: string): StartRequest {
  const rest = { input: null, options: null, delayMs: 0, retentionSeconds: 600 };
  return { runId: newId(), workflowId, workflowName, taskQueue: QUEUE, ...rest };
}

test(
  "a commit whose connection falls silent before its answer is done once, at the client's and the worker's side",
  async () => {
    const store = await makeScratchStore();
    const { schema } = store.place;
    const { hostname, port } = new URL(testDatabaseUrl());
    const proxy = await startTcpProxy({ host: hostname, port: Number(port) });
    onTestFinished(() => proxy.close());
    const source = resolveConnection(testDatabaseUrlWith({ host: `127.0.0.1:${proxy.port}` }));
    const far = await StoreClient.open(source, schema);
    const near = await StoreClient.open(store.place.source, schema);
    onTestFinished(async () => {
      await Promise.all([far.close(), near.close()]);
    });
    const atWork = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    const work = async (): Promise<number> => {
      atWork.resolve();
      await goOn.promise;
      return 7;
    };
    const told: string[] = [];
    const log: WorkerLog = (_level, message) => told.push(message);
    // One lane: the first run opens the connection on which the commit of the second is lost.
    const tuning = { heartbeat: "none", pollMs: 200, sweepMs: 200, lanes: 1 } as const;
    const worker = await EngineWorker.start({ source, schema, log, ...tuning });
    onTestFinished(async () => await worker.shutdown({ graceMs: 0 }));
    activityRegistry.register({ work }, QUEUE);
    const echo: Invoke = () => "echo";
    const working: Invoke = async () => await durable.activity("work");
    await worker.serve(QUEUE, new Map(Object.entries({ echo, working })));
    // Opens the writing connections of the client and of the worker.
    const first = await far.start(request("first", "echo"));
    expect(await near.outcome(first)).toMatchObject({ status: "completed" });
    const held = await near.start(request("working", "working"));
    await atWork.promise;

    proxy.loseAnswers();
    goOn.resolve();
    const starting = far.start(request("second", "echo"));
    const runCount = async (): Promise<number> => (await store.sql("select from :schema.runs")).length;
    await eventually("the commit of the start", async () => (await runCount()) === 3);
    expect(await near.outcome(held)).toMatchObject({ status: "completed", result: "7" });
    const second = await starting;
    await eventually("the retry of the worker's flush", () => told.includes("a flush is tried again"));
    expect(await near.outcome(second)).toMatchObject({ status: "completed" });
    expect(await runCount()).toBe(3);
    const events = await store.sql("select run_id, event_no, position from :schema.events");
    expect(events).toEqual([{ run_id: held, event_no: 1, position: expect.any(Number) as number }]);
    expect(await store.sql("select 1 from :schema.inbox")).toEqual([]);
    expect(worker.status.state).toBe("running");
  },
  TEST_TIMEOUT_MS,
);
