/**
 * What the database says of its queues: on rows made by hand, where each count is known.
 */
import { newId, resolveConnection } from "@memflow/engine";
import { makeScratchStore } from "@memflow/engine/testing/scratch-store";
import type { ScratchStore } from "@memflow/engine/testing/scratch-store";
import { expect, onTestFinished, test } from "vitest";
import { LoadObserver } from "./observe.ts";
import type { SeenStore } from "./observe.ts";

type Row = Readonly<Record<string, unknown>>;

function observerOf({ place }: ScratchStore): LoadObserver {
  const observer = new LoadObserver(place.source, place.schema);
  onTestFinished(() => observer.close());
  return observer;
}

async function look(store: ScratchStore): Promise<SeenStore> {
  const found = await observerOf(store).look();
  if (found.kind === "Unseen") throw new Error(found.message);
  return found;
}

async function insertWorker(store: ScratchStore, row: Row = {}): Promise<string> {
  const workerId = newId();
  await store.insert("workers", { worker_id: workerId, dead_after_ms: 60_000, serves: "{}", ...row });
  return workerId;
}

async function insertAttempt(store: ScratchStore, row: Row): Promise<void> {
  await store.insert("activities", {
    position: 0,
    attempt: 1,
    state: "queued",
    due_at: new Date(),
    task_queue: "queue",
    name: "fetch",
    policy: { maximumAttempts: 3 },
    ...row,
  });
}

/** A moment some seconds from the database's now. */
async function seconds(store: ScratchStore, distance: number): Promise<unknown> {
  const [row] = await store.sql<{ at: unknown }>(
    "select clock_timestamp() + make_interval(secs => $1) as at",
    [distance],
  );
  return row?.at;
}

test("a queue that nothing waits in and nobody works on is empty", async () => {
  const store = await makeScratchStore();
  expect((await look(store)).queue("queue")).toEqual({ kind: "Seen", waiting: [], workers: [] });
});

test("what is ready is counted by build and aged by the oldest; what has no build is for any", async () => {
  const store = await makeScratchStore();
  await store.insertRun({ ready_at: await seconds(store, -100) });
  await store.insertRun({ ready_at: await seconds(store, -10), workflow_name: "other", priority: 1 });
  await store.insertRun({ ready_at: await seconds(store, -50), build_id: "b1" });
  await store.insertRun({ ready_at: await seconds(store, -20), build_id: "b1" });
  await store.insertRun({ ready_at: await seconds(store, -5), task_queue: "elsewhere" });

  const seen = await look(store);
  expect(seen.queue("queue").waiting).toEqual([
    { buildId: "b1", ready: 2, unserved: 0, oldestAgeMs: expect.any(Number), nextTimerInMs: null },
    { buildId: null, ready: 2, unserved: 0, oldestAgeMs: expect.any(Number), nextTimerInMs: null },
  ]);
  const [pinned, free] = seen.queue("queue").waiting;
  expect(pinned?.oldestAgeMs).toBeGreaterThanOrEqual(50_000);
  expect(pinned?.oldestAgeMs).toBeLessThan(100_000);
  expect(free?.oldestAgeMs).toBeGreaterThanOrEqual(100_000);
  expect(seen.queue("elsewhere").waiting).toMatchObject([{ ready: 1 }]);
});

test("the next timer of each build is found: of runs without an owner, of attempts, of a worker's runs", async () => {
  const store = await makeScratchStore();
  const workerId = await insertWorker(store, { host: "pod-a" });
  await store.insertRun({ ready_at: "infinity" });
  await store.insertRun({ ready_at: await seconds(store, 900), build_id: "b1" });
  const owned = await store.insertRun({ owner: workerId, wake_at: await seconds(store, 700) });
  await store.insertRun({ owner: workerId, wake_at: await seconds(store, 800) });
  await insertAttempt(store, { run_id: owned, due_at: await seconds(store, 500) });

  const { waiting, workers } = (await look(store)).queue("queue");
  expect(waiting).toMatchObject([
    { buildId: "b1", ready: 0 },
    { buildId: null, ready: 0 },
  ]);
  const inMs = [...waiting, ...workers].map(({ nextTimerInMs }) => Math.ceil((nextTimerInMs ?? 0) / 100_000));
  expect(inMs).toEqual([9, 5, 7]);
});

test("a timer that is due already is due in 0 ms", async () => {
  const store = await makeScratchStore();
  const workerId = await insertWorker(store);
  await store.insertRun({ owner: workerId, wake_at: await seconds(store, -60) });
  expect((await look(store)).queue("queue").workers).toMatchObject([{ nextTimerInMs: 0 }]);
});

test("workers are there with what they hold, by queue; dead ones and idle ones are not", async () => {
  const store = await makeScratchStore();
  const busy = await insertWorker(store, { host: "pod-a", build_id: "b1" });
  await insertWorker(store, { host: "pod-b" });
  const dead = await insertWorker(store, { host: "pod-c", dead_at: new Date() });
  const run = await store.insertRun({ owner: busy, busy: true });
  await store.insertRun({ owner: busy });
  await store.insertRun({ owner: dead, busy: true });
  await insertAttempt(store, { run_id: run, state: "leased", owner: busy, task_queue: "mail" });

  const seen = await look(store);
  const ofBusy = { workerId: busy, host: "pod-a", buildId: "b1", nextTimerInMs: null };
  expect(seen.queue("queue").workers).toEqual([{ ...ofBusy, busyRuns: 1, attempts: 0, ownedRuns: 2 }]);
  expect(seen.queue("mail").workers).toEqual([{ ...ofBusy, busyRuns: 0, attempts: 1, ownedRuns: 0 }]);
  // What the dead one held is ready.
  expect(seen.queue("queue").waiting).toMatchObject([{ ready: 1 }]);
});

test("an attempt is counted for the build that it waits for, and for any build without one", async () => {
  const store = await makeScratchStore();
  const run = await store.insertRun({ ready_at: "infinity", build_id: "b1" });
  await insertAttempt(store, { run_id: run, build_id: "b1" });
  await insertAttempt(store, { run_id: run, position: 1, task_queue: "mail" });
  const seen = await look(store);
  expect(seen.queue("queue").waiting).toMatchObject([{ buildId: "b1", ready: 1 }]);
  expect(seen.queue("mail").waiting).toMatchObject([{ buildId: null, ready: 1 }]);
});

test("names that no living worker of the queue knows are unserved, while one lives", async () => {
  const store = await makeScratchStore();
  const run = await store.insertRun({ ready_at: await seconds(store, -60), workflow_name: "unknown" });
  await store.insertRun({ ready_at: await seconds(store, -1), workflow_name: "known" });
  await insertAttempt(store, { run_id: run, name: "unknown" });
  expect((await look(store)).queue("queue").waiting).toMatchObject([{ ready: 3, unserved: 0 }]);

  const serves = { queues: [{ taskQueue: "queue", workflows: ["known"], activities: ["fetch"] }] };
  await insertWorker(store, { serves: JSON.stringify(serves) });
  const [waiting] = (await look(store)).queue("queue").waiting;
  expect(waiting).toMatchObject({ ready: 1, unserved: 2 });
  // The age is of what could be served.
  expect(waiting?.oldestAgeMs).toBeLessThan(60_000);
});

test("a thousand queues are one statement", async () => {
  const store = await makeScratchStore();
  await store.sql(`
    insert into :schema.runs (run_id, entity_id, task_queue, workflow_name, workflow_id, ready_at)
    select gen_random_uuid(), gen_random_uuid(), 'queue-' || q, 'work', q || '-' || n, now()
    from generate_series(1, 1000) q cross join generate_series(1, 3) n`);
  const seen = await look(store);
  const ready = Array.from(
    { length: 1_000 },
    (_, index) => seen.queue(`queue-${index + 1}`).waiting[0]?.ready,
  );
  expect(new Set(ready)).toEqual(new Set([3]));
});

test("looks that are asked for while one is under way are answered by it", async () => {
  const store = await makeScratchStore();
  const observer = observerOf(store);
  const [first, second] = await Promise.all([observer.look(), observer.look()]);
  expect(second).toBe(first);
  expect(await observer.look()).not.toBe(first);
});

test("a store that can't be reached is unseen, with the reason, never empty", async () => {
  const source = resolveConnection("postgres://nobody@127.0.0.1:1/none");
  const observer = new LoadObserver(source, "memflow");
  onTestFinished(() => observer.close());
  expect(await observer.look()).toMatchObject({
    kind: "Unseen",
    code: "DATABASE_UNREACHABLE",
    message: expect.stringContaining("127.0.0.1:1/none"),
  });
});

test("a store whose schema is missing is unseen, and seen again when it is there", async () => {
  const store = await makeScratchStore();
  const observer = observerOf(store);
  const { schema } = store.place;
  await store.sql(`alter schema :schema rename to "${schema}_away"`);
  expect(await observer.look()).toMatchObject({ kind: "Unseen", code: "SCHEMA_MISSING" });
  await store.sql(`alter schema "${schema}_away" rename to :schema`);
  expect(await observer.look()).toMatchObject({ kind: "Seen" });
});

test("cordons are set and lifted, by worker and by queue", async () => {
  const store = await makeScratchStore();
  const serves = JSON.stringify({ queues: [{ taskQueue: "queue", workflows: [], activities: [] }] });
  const leaving = await insertWorker(store, { serves });
  await insertWorker(store, { serves });
  const observer = observerOf(store);
  const cordoned = async (): Promise<unknown[]> =>
    (
      await store.sql<{ worker_id: string }>(
        "select worker_id from :schema.workers where cordoned_until > clock_timestamp()",
      )
    ).map((row) => row.worker_id);

  await observer.cordon([]);
  expect(await cordoned()).toEqual([]);
  await observer.cordon([leaving]);
  expect(await cordoned()).toEqual([leaving]);
  await observer.liftCordons("elsewhere");
  expect(await cordoned()).toEqual([leaving]);
  await observer.liftCordons("queue");
  expect(await cordoned()).toEqual([]);
});

test("a cordon that can't be set says why", async () => {
  const observer = new LoadObserver(resolveConnection("postgres://nobody@127.0.0.1:1/none"), "memflow");
  onTestFinished(() => observer.close());
  await expect(observer.cordon([newId()])).rejects.toMatchObject({ code: "DATABASE_UNREACHABLE" });
});

test("what waits for a build is unserved by the names of its own workers, and what waits for any by those that get new runs", async () => {
  const store = await makeScratchStore();
  const serves = (workflow: string): Row => ({
    serves: JSON.stringify({ queues: [{ taskQueue: "queue", workflows: [workflow], activities: [] }] }),
  });
  const builds = [
    { buildId: "new", role: "Current", sharePercent: 100 },
    { buildId: "old", role: "Draining", sharePercent: 0 },
  ];
  await store.sql("select :schema.set_queue_builds('queue', $1, 1)", [
    JSON.stringify({ pinning: "Pinned", builds }),
  ]);
  await insertWorker(store, { build_id: "old", ...serves("before") });
  for (const workflow_name of ["before", "after"]) {
    const ready_at = await seconds(store, -1);
    for (const build_id of ["old", "new", null]) await store.insertRun({ ready_at, workflow_name, build_id });
  }
  // No worker of the new build lives: what waits for it, or for any, is its work once it is there.
  expect((await look(store)).queue("queue").waiting).toMatchObject([
    { buildId: "new", ready: 2, unserved: 0 },
    { buildId: "old", ready: 1, unserved: 1 },
    { buildId: null, ready: 2, unserved: 0 },
  ]);
  await insertWorker(store, { build_id: "new", ...serves("after") });
  expect((await look(store)).queue("queue").waiting).toMatchObject([
    { buildId: "new", ready: 1, unserved: 1 },
    { buildId: "old", ready: 1, unserved: 1 },
    { buildId: null, ready: 1, unserved: 1 },
  ]);
});
