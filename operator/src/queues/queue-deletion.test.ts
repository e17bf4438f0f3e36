/** How a TaskQueue goes, and that nothing makes it stay. */
import { newId } from "@memflow/engine";
import { expect, test } from "vitest";
import { STORES, TASK_QUEUES } from "../api/index.ts";
import { nameOf, NAMESPACES, PODS } from "../kube/index.ts";
import { startQueueCluster } from "./testing/queue-cluster.ts";
import type { QueueCluster } from "./testing/queue-cluster.ts";
import { workersWith } from "./testing/task-queues.ts";
import type { Manifest } from "./testing/task-queues.ts";

const QUEUE = { namespace: "shop", name: "orders" } as const;

/** A queue with one worker that is ready. */
async function workingCluster(deletion: Manifest = {}): Promise<QueueCluster> {
  const cluster = await startQueueCluster();
  cluster.apply({ ...workersWith({}), versioning: { buildId: "b1" }, deletion });
  await cluster.settle();
  cluster.run("b1", 1);
  await cluster.settle();
  return cluster;
}

function isThere({ api }: QueueCluster): boolean {
  return api.cluster.find(TASK_QUEUES, QUEUE) !== undefined;
}

function remove({ api, clock }: QueueCluster): void {
  api.cluster.delete(TASK_QUEUES, QUEUE);
  // The mock stamps with the real time; the deletion is to be of the test's own.
  const object = api.cluster.find(TASK_QUEUES, QUEUE);
  if (object?.metadata?.deletionTimestamp === undefined) return;
  clock.jump(Math.max(0, Date.parse(object.metadata.deletionTimestamp) - clock.wallTime().getTime()));
}

test("only a queue with workers and something to wait for is held", async () => {
  const cluster = await workingCluster();
  const finalizersOf = (): unknown => cluster.api.cluster.find(TASK_QUEUES, QUEUE)?.metadata?.finalizers;
  expect(finalizersOf()).toEqual(["memflow.io/drain"]);
  cluster.run("b1", 0);
  await cluster.settle();
  expect(finalizersOf() ?? []).toEqual([]);
  const forced = await workingCluster({ mode: "Force" });
  expect(forced.api.cluster.find(TASK_QUEUES, QUEUE)?.metadata?.finalizers).toBeUndefined();
  const hasty = await workingCluster({ timeout: "0s" });
  expect(hasty.api.cluster.find(TASK_QUEUES, QUEUE)?.metadata?.finalizers).toBeUndefined();
});

test("a queue waits for its open runs, says which, and goes when they have ended", async () => {
  const cluster = await workingCluster();
  await cluster.database.insertRun({ task_queue: "orders", build_id: "b1" });
  await cluster.database.insertRun({ task_queue: "orders", ready_at: new Date() });
  remove(cluster);
  expect((await cluster.settle()).requeueAfterMs).toBe(5_000);
  expect(cluster.condition("Ready")).toBe("False Deleting");
  expect(cluster.condition("Draining")).toBe("True Deleting");
  expect(JSON.stringify(cluster.status()?.conditions)).toContain("2 open runs");
  await cluster.database.sql(
    "update :schema.runs set status = 'completed', closed_at = now(), ready_at = null",
  );
  await cluster.pass();
  expect(isThere(cluster)).toBe(false);
});

test("what a worker has in hand holds the queue too", async () => {
  const cluster = await workingCluster();
  const workerId = newId();
  const serves = JSON.stringify({ queues: [{ taskQueue: "orders", workflows: ["work"], activities: [] }] });
  await cluster.database.insert("workers", { worker_id: workerId, dead_after_ms: 60_000, serves });
  await cluster.database.insertRun({ task_queue: "orders", owner: workerId, busy: true });
  remove(cluster);
  await cluster.settle();
  expect(isThere(cluster)).toBe(true);
});

test("after its time a queue goes with a word, or stays where that is asked", async () => {
  for (const [onTimeout, stays] of [
    ["Force", false],
    ["Keep", true],
  ] as const) {
    const cluster = await workingCluster({ timeout: "1m", onTimeout });
    await cluster.database.insertRun({ task_queue: "orders", build_id: "b1" });
    remove(cluster);
    await cluster.settle();
    cluster.clock.advance(61_000);
    await cluster.pass();
    expect(isThere(cluster)).toBe(stays);
    if (stays) expect(cluster.condition("Draining")).toBe("True TimedOut");
    else expect(cluster.events.at(-1)).toMatchObject({ type: "Warning", reason: "DrainTimedOut" });
  }
});

test("a Store that is gone, or a namespace that goes, lets the queue go at once", async () => {
  const storeless = await workingCluster({ onTimeout: "Keep" });
  storeless.api.cluster.delete(STORES, { namespace: "shop", name: "main" });
  remove(storeless);
  await storeless.pass();
  expect(isThere(storeless)).toBe(false);

  const ending = await workingCluster({ onTimeout: "Keep" });
  await ending.database.insertRun({ task_queue: "orders", build_id: "b1" });
  ending.api.cluster.create(NAMESPACES, { metadata: { name: "shop", finalizers: ["kubernetes"] } });
  ending.api.cluster.delete(NAMESPACES, { name: "shop" });
  remove(ending);
  await ending.pass();
  expect(isThere(ending)).toBe(false);
});

test("a queue is let go as soon as a namespace that goes takes its pods, and not held again", async () => {
  const cluster = await workingCluster();
  const { api } = cluster;
  const finalizersOf = (): unknown => api.cluster.find(TASK_QUEUES, QUEUE)?.metadata?.finalizers ?? [];
  const [pod] = api.cluster.list(PODS, () => true);
  if (pod === undefined) throw new Error("the queue has no pod");
  const slow = { ...pod, metadata: { ...pod.metadata, finalizers: ["example.com/grace"] } };
  api.cluster.replace(PODS, slow, { manager: "kubelet" });
  api.cluster.delete(PODS, nameOf(pod));
  await cluster.settle();
  expect(finalizersOf()).toEqual(["memflow.io/drain"]);

  api.cluster.create(NAMESPACES, { metadata: { name: "shop", finalizers: ["kubernetes"] } });
  api.cluster.delete(NAMESPACES, { name: "shop" });
  await cluster.settle();
  expect(finalizersOf()).toEqual([]);
  const { resourceVersion: _, ...metadata } = slow.metadata;
  api.cluster.replace(PODS, { ...slow, metadata: { ...metadata, finalizers: [] } }, { manager: "kubelet" });
  cluster.run("b1", 2);
  await cluster.settle();
  expect(finalizersOf()).toEqual([]);
});

test("a database that does not answer holds the queue for its time and no longer, whatever was asked", async () => {
  const cluster = await workingCluster({ timeout: "1m", onTimeout: "Keep" });
  cluster.isConnected = false;
  remove(cluster);
  await cluster.settle();
  expect(isThere(cluster)).toBe(true);
  cluster.clock.advance(61_000);
  await cluster.pass();
  expect(isThere(cluster)).toBe(false);
});

test("where the role may not look at namespaces, the queue is drained as ever", async () => {
  const cluster = await workingCluster();
  cluster.api.faults.inject({ kind: "refuse", status: 403, reason: "Forbidden" }, { plural: "namespaces" });
  remove(cluster);
  await cluster.pass();
  expect(isThere(cluster)).toBe(false);
});
