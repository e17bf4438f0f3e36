import { expect, test } from "vitest";
import { newId } from "../../store/new-id.ts";
import { makeScratchStore } from "../scratch-store.ts";
import type { ScratchStore } from "../scratch-store.ts";
import { checkDepth } from "./depth.ts";

async function insertDeadWorker(store: ScratchStore): Promise<string> {
  const workerId = newId();
  await store.insert("workers", {
    worker_id: workerId,
    dead_after_ms: 1_000,
    serves: "{}",
    dead_at: new Date(),
  });
  return workerId;
}

function attempt(runId: string, row: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return {
    run_id: runId,
    position: 0,
    attempt: 1,
    state: "queued",
    due_at: new Date(),
    task_queue: "queue",
    name: "fetch",
    policy: { maximumAttempts: 3 },
    ...row,
  };
}

test("the depth counts what workers could claim: new runs, dead workers' busy ones, messages, timers, attempts", async () => {
  const store = await makeScratchStore();
  const dead = await insertDeadWorker(store);
  const live = newId();
  await store.insert("workers", { worker_id: live, dead_after_ms: 60_000, serves: "{}" });
  await store.insertRun({ ready_at: new Date() });
  await store.insertRun({ ready_at: new Date(), busy: true, busy_takeovers: 3 });
  await store.insertRun({ owner: dead, busy: true });
  await store.insertRun({ owner: dead, wake_at: new Date() });
  await store.insert("inbox", { run_id: await store.insertRun({ owner: dead }), kind: 4 });
  await store.insertRun({ owner: dead });
  await store.insertRun({ owner: dead, wake_at: new Date(Date.now() + 60_000) });
  const owned = await store.insertRun({ owner: live, busy: true });
  await store.insert("activities", attempt(owned, {}));
  await store.insert("activities", attempt(owned, { position: 1, state: "leased", owner: dead }));
  await store.insert("activities", attempt(owned, { position: 2, state: "leased", owner: live }));
  await store.insert("activities", attempt(owned, { position: 3, due_at: new Date(Date.now() + 60_000) }));

  expect(await checkDepth(store.place)).toEqual({ findings: [], claimable: 7 });
});

test("the last attempt that a dead worker took along is nobody's work, its run is", async () => {
  const store = await makeScratchStore();
  const dead = await insertDeadWorker(store);
  const parked = await store.insertRun({ ready_at: "infinity" });
  await store.insert(
    "activities",
    attempt(parked, { state: "leased", owner: dead, policy: { maximumAttempts: 1 } }),
  );
  const orphan = await store.insertRun({ owner: dead, busy: true });
  await store.insert(
    "activities",
    attempt(orphan, { state: "leased", owner: dead, policy: { maximumAttempts: 1 } }),
  );

  expect(await checkDepth(store.place)).toEqual({ findings: [], claimable: 2 });
});

test("a depth that counts what nobody can claim is found, and leaves the store as it was", async () => {
  const store = await makeScratchStore();
  await store.insertRun({ ready_at: new Date() });
  await store.sql(`
    create or replace view :schema.ready_runs as
    select r.run_id, r.task_queue, r.workflow_name, r.priority, r.ready_at from :schema.runs r
    union all
    select r.run_id, r.task_queue, r.workflow_name, r.priority, r.ready_at from :schema.runs r`);

  expect(await checkDepth(store.place)).toEqual({
    findings: [
      'I11: queue "queue" has a depth of 2 (then 2), workers could claim 1',
      'I11: queue "queue" has a depth of 2, scaling observes 1',
      'I11: queue "queue" has a depth of 2, scaling observes 1',
    ],
    claimable: 1,
  });
  expect(await store.sql("select 1 from :schema.runs where owner is not null")).toEqual([]);
});

const BUILDS = JSON.stringify({
  pinning: "Pinned",
  builds: [
    { buildId: "new", role: "Current", sharePercent: 70 },
    { buildId: "next", role: "Ramping", sharePercent: 30 },
    { buildId: "old", role: "Draining", sharePercent: 0 },
  ],
});

/** A store with runs and attempts of each build, of one that nobody has, and of none. */
async function makeStoreOfBuilds(): Promise<ScratchStore> {
  const store = await makeScratchStore();
  await store.sql("select :schema.set_queue_builds('queue', $1, 1)", [BUILDS]);
  const dead = await insertDeadWorker(store);
  for (const build_id of ["new", "next", "old", "gone", null]) {
    await store.insertRun({ ready_at: new Date(), build_id });
    await store.insertRun({ ready_at: "infinity", build_id });
    await store.insertRun({ owner: dead, busy: true, build_id });
    const waiting = await store.insertRun({ ready_at: "infinity", build_id });
    await store.insert("activities", attempt(waiting, { build_id }));
    await store.insert(
      "activities",
      attempt(waiting, { position: 1, state: "leased", owner: dead, build_id }),
    );
  }
  return store;
}

test("what waits for a build is what its workers could claim, and nobody else; what waits for none is claimed by those that get new runs", async () => {
  const store = await makeStoreOfBuilds();
  expect(await checkDepth(store.place)).toEqual({ findings: [], claimable: 20 });
});

test("a claim that takes what is another build's is found", async () => {
  const store = await makeStoreOfBuilds();
  await store.sql(`
    create or replace function :schema.claim_routes(p_queue text, p_build text)
    returns table (route text, bucket_from smallint, bucket_to smallint, pins boolean)
    language sql
    stable
    as $$ select known.route, 0::smallint, 100::smallint, false from (values (p_build), (''), ('gone')) as known (route) $$`);
  const { findings } = await checkDepth(store.place);
  expect(findings.length).toBeGreaterThan(0);
  expect(findings.every((finding) => /could claim what is build (gone|null)'s/u.test(finding))).toBe(true);
});

test("a build for which scaling observes less than waits for it is found", async () => {
  const store = await makeScratchStore();
  await store.insertRun({ ready_at: new Date(), build_id: "new" });
  const [source] = await store.sql<{ text: string }>(
    "select pg_get_functiondef(':schema.observe_load'::regproc) as text",
  );
  await store.sql((source?.text ?? "").replace(/nullif\(s\.route, ''\)/gu, "null"));
  expect((await checkDepth(store.place)).findings).toEqual([
    'I11: of queue "queue" build "new" scaling observes 0 (then 0), its workers could claim 1',
  ]);
});
