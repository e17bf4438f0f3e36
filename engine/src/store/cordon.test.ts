/**
 * A cordoned worker claims nothing, keeps what it holds, and is an ordinary worker again when the cordon ends.
 */
import { expect, test } from "vitest";
import { makeScratchStore } from "../testing/scratch-store.ts";
import type { ScratchStore } from "../testing/scratch-store.ts";
import { newId } from "./new-id.ts";

async function insertWorker(store: ScratchStore, queue = "queue"): Promise<string> {
  const workerId = newId();
  const serves = JSON.stringify({ queues: [{ taskQueue: queue, workflows: ["work"], activities: [] }] });
  await store.insert("workers", { worker_id: workerId, dead_after_ms: 60_000, serves });
  return workerId;
}

async function claimed(store: ScratchStore, workerId: string): Promise<number> {
  const runs = await store.sql(
    "select run_id from :schema.claim_runs($1, null, 'queue', '{work}', 10, false, 2)",
    [workerId],
  );
  const attempts = await store.sql(
    "select run_id from :schema.claim_activities($1, null, 'queue', '{fetch}', 10)",
    [workerId],
  );
  return runs.length + attempts.length;
}

async function insertWork(store: ScratchStore): Promise<void> {
  const runId = await store.insertRun({ ready_at: new Date(0) });
  await store.insert("activities", {
    run_id: runId,
    position: 0,
    attempt: 1,
    state: "queued",
    due_at: new Date(0),
    task_queue: "queue",
    name: "fetch",
  });
}

test("a cordoned worker claims neither runs nor attempts, and others do", async () => {
  const store = await makeScratchStore();
  await insertWork(store);
  const [cordoned, other] = [await insertWorker(store), await insertWorker(store)];
  await store.sql("select :schema.cordon_workers($1, 60000)", [[cordoned]]);
  expect(await claimed(store, cordoned)).toBe(0);
  expect(await claimed(store, other)).toBe(2);
});

test("a cordon ends by itself", async () => {
  const store = await makeScratchStore();
  await insertWork(store);
  const workerId = await insertWorker(store);
  await store.sql("select :schema.cordon_workers($1, -1)", [[workerId]]);
  expect(await claimed(store, workerId)).toBe(2);
});

test("cordons are lifted by queue", async () => {
  const store = await makeScratchStore();
  await insertWork(store);
  const [here, elsewhere] = [await insertWorker(store), await insertWorker(store, "elsewhere")];
  await store.sql("select :schema.cordon_workers($1, 60000)", [[here, elsewhere]]);
  await store.sql("select :schema.lift_cordons('elsewhere')");
  expect(await claimed(store, here)).toBe(0);
  await store.sql("select :schema.lift_cordons('queue')");
  expect(await claimed(store, here)).toBe(2);
});
