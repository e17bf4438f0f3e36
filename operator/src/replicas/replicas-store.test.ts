/** The controller on a real database: what is started, held and cordoned there. */
import { newId, StoreClient } from "@memflow/engine";
import { makeScratchStore } from "@memflow/engine/testing/scratch-store";
import type { ScratchStore } from "@memflow/engine/testing/scratch-store";
import { expect, onTestFinished, test } from "vitest";
import { StoreConnections } from "../stores/store-connections.ts";
import { startScaledCluster } from "./testing/scaled-cluster.ts";
import type { ScaledCluster } from "./testing/scaled-cluster.ts";

async function startOn({ place }: ScratchStore): Promise<ScaledCluster> {
  const cluster = await startScaledCluster();
  const connections = new StoreConnections(cluster.log.log);
  connections.connect({
    key: "default/main",
    uid: "1",
    schema: place.schema,
    source: place.source,
    fingerprint: "1",
  });
  cluster.store.behind = connections.find("default/main");
  onTestFinished(async () => {
    await cluster.kill();
    await connections.close();
  });
  return cluster;
}

test("a start at zero wakes the operator, which sees it and starts a worker", async () => {
  const store = await makeScratchStore();
  const cluster = await startOn(store);
  cluster.addQueue({ name: "queue" });
  cluster.lead();
  await cluster.advance(1_000);
  expect(cluster.replicas("queue-b1")).toBe(0);

  const client = await StoreClient.open(store.place.source, store.place.schema);
  onTestFinished(() => client.close());
  // It may come before the connection listens: then the operator looks once it does.
  await client.start({
    runId: newId(),
    workflowId: newId(),
    workflowName: "work",
    taskQueue: "queue",
    input: null,
    options: null,
    delayMs: 0,
    retentionSeconds: 60,
  });
  await cluster.clock.untilPending(0);
  await cluster.settle();
  expect(cluster.replicas("queue-b1")).toBeGreaterThan(0);
  expect(cluster.eventReasons).toEqual(["Activated"]);
});

test("of five pods the one whose worker holds an attempt is the one that stays", async () => {
  const store = await makeScratchStore();
  const cluster = await startOn(store);
  const behavior = { scaleDown: { stabilization: "20s" } };
  cluster.addQueue({ name: "queue", replicas: 5, spec: { scaling: { cooldown: "20s", behavior } } });
  await cluster.settle();
  const pods = cluster.pods("queue-b1");
  const owners = new Map<string, string>();
  for (const host of pods) {
    const workerId = newId();
    owners.set(host, workerId);
    await store.insert("workers", { worker_id: workerId, dead_after_ms: 600_000, serves: "{}", host });
  }
  const [, holder = ""] = pods;
  const owner = owners.get(holder);
  const run = await store.insertRun({ owner });
  await store.insert("activities", {
    run_id: run,
    position: 0,
    attempt: 1,
    state: "leased",
    due_at: new Date(),
    task_queue: "queue",
    name: "fetch",
    policy: { maximumAttempts: 3 },
    owner,
  });
  cluster.lead();
  await cluster.advance(60_000);
  expect(cluster.pods("queue-b1")).toEqual([holder]);

  await store.sql("delete from :schema.activities");
  await store.sql("delete from :schema.runs");
  await cluster.advance(60_000);
  expect(cluster.pods("queue-b1")).toEqual([]);
});
