/**
 * Retention by workers alone, whose role may neither make nor drop anything: what has expired goes, what is open stays.
 */
import { migrate, resolveConnection } from "@memflow/engine";
import { checkStore, testSource } from "@memflow/engine/testing";
import { Client, MemFlow, Worker } from "@memflow/sdk";
import type { WorkflowHandle } from "@memflow/sdk";
import pg from "pg";
import { expect, onTestFinished, test } from "vitest";
import { FAST, eventually, setup } from "./setup.ts";
import type { TestStore } from "./setup.ts";

const QUEUE = "retention";
const PASSWORD = "a password";
const ROUNDS = 3;
const IDS_PER_ROUND = 10;

const { double } = MemFlow.workflow.proxyActivities<{ double(value: number): number }>({
  activities: { double: (value: number) => value * 2 },
});

/** Leaves a row in every table of history. */
async function remember(value: number): Promise<unknown> {
  const memory = await MemFlow.workflow.entity();
  await memory.set({ doubled: await double(value) });
  return await memory.get();
}

/** Stays open until it is told to end. */
async function stayOpen(): Promise<unknown> {
  const memory = await MemFlow.workflow.entity();
  await memory.set({ first: await double(1) });
  const told = await MemFlow.workflow.waitFor("end");
  return await memory.merge({ told, last: await double(2) });
}

/** The schema, made by an administrator, and the connection of a role that may use its tables and no more. */
async function withoutDdlRight(store: TestStore): Promise<string> {
  const role = `worker_of_${store.namespace}`;
  await migrate({ source: resolveConnection(store.url), schema: store.namespace });
  for (const statement of [
    `create role ${role} login password '${PASSWORD}'`,
    `grant usage on schema ${store.namespace} to ${role}`,
    `grant select, insert, update, delete on all tables in schema ${store.namespace} to ${role}`,
    `revoke insert, update, delete on schema_migrations, event_kinds from ${role}`,
  ])
    await store.query(statement);
  onTestFinished(async () => {
    await MemFlow.shutdown({ graceMs: 0 });
    await store.query(`drop owned by ${role} cascade`);
    await store.query(`drop role ${role}`);
  });
  return Object.assign(new URL(store.url), { username: role, password: PASSWORD }).href;
}

async function expectNoDdlRight(connectionString: string, schema: string): Promise<void> {
  const postgres = new pg.Client({ connectionString });
  await postgres.connect();
  try {
    for (const statement of [
      `create table ${schema}.mine ()`,
      `drop table ${schema}.events`,
      `truncate ${schema}.events`,
    ])
      await expect(postgres.query(statement)).rejects.toMatchObject({ code: "42501" });
  } finally {
    await postgres.end();
  }
}

/** The runs of which anything is left, table by table. */
async function runsLeft(store: TestStore): Promise<Readonly<Record<string, readonly string[]>>> {
  const left = await store.query<{ place: string; ids: string[] }>(
    `select place, array_agg(distinct id order by id) as ids
     from (
       select 'runs' as place, run_id as id from runs
       union all select 'events', run_id from events
       union all select 'entities', entity_id from entities
       union all select 'workflow_ids', run_id from workflow_ids
     ) kept
     group by place`,
  );
  return Object.fromEntries(left.map(({ place, ids }) => [place, ids]));
}

/** Waits until these runs, and nothing of any other, are left in every table. */
async function onlyLeft(store: TestStore, handles: readonly WorkflowHandle[]): Promise<void> {
  const ids = handles.map(({ runId }) => runId).toSorted();
  await eventually("expired runs gone", async () => {
    const { runs = [] } = await runsLeft(store);
    return runs.length <= ids.length;
  });
  expect(await runsLeft(store)).toEqual({ runs: ids, events: ids, entities: ids, workflow_ids: ids });
}

test("with workers alone and no DDL right, expired history goes, starts succeed, and an open run of old finishes", async () => {
  const store = await setup();
  const connection = await withoutDdlRight(store);
  await expectNoDdlRight(connection, store.namespace);
  const serve = (): Promise<Worker> =>
    Worker.create({
      connection,
      namespace: store.namespace,
      taskQueue: QUEUE,
      workflow: { remember, stayOpen },
      options: { ...FAST, pruneMs: 50 },
    });
  const client = new Client({ connection, namespace: store.namespace });
  const start = (
    workflowName: string,
    workflowId: string,
    more: { readonly args?: readonly unknown[]; readonly expire?: number },
  ): Promise<WorkflowHandle> =>
    client.workflow.start({ taskQueue: QUEUE, workflowName, workflowId, args: [], ...more });

  // Open since the first day: worked on, handed over, and far older than its own retention.
  const first = await serve();
  const old = await start("stayOpen", "open", { expire: 1 });
  await eventually("the open run waits", async () => (await store.query("select from waits")).length === 1);
  await first.shutdown({ graceMs: 0 });
  await store.query("update runs set started_at = started_at - interval '30 days'");
  await store.query("update events set at = at - interval '30 days'");
  await store.query("update entities set changed_at = changed_at - interval '30 days'");
  await store.query("update waits set since = since - interval '30 days'");

  await serve();
  const seen = new Set<string>();
  for (let round = 0; round < ROUNDS; round += 1) {
    const handles = await Promise.all(
      Array.from({ length: IDS_PER_ROUND }, (_, index) =>
        start("remember", `again-${index}`, { args: [index], expire: 1 }),
      ),
    );
    const results = await Promise.all(handles.map((handle) => handle.result()));
    expect(results).toEqual(handles.map((_, index) => ({ doubled: index * 2 })));
    for (const { runId } of handles) seen.add(runId);
    await onlyLeft(store, [old]);
  }
  expect(seen.size).toBe(ROUNDS * IDS_PER_ROUND);

  // One that is kept for the days that are the default stays while others go, until these days are over.
  const kept = await start("remember", "kept", { args: [5] });
  const short = await start("remember", "short", { args: [6], expire: 1 });
  await Promise.all([kept.result(), short.result()]);
  await onlyLeft(store, [old, kept]);
  await store.query("update runs set expires_at = expires_at - interval '8 days' where run_id = $1", [
    kept.runId,
  ]);
  await onlyLeft(store, [old]);

  await store.query("update flushes set at = at - interval '61 minutes'");
  await eventually("flushes of more than an hour ago gone", async () => {
    const aged = await store.query("select from flushes where at < clock_timestamp() - interval '1 hour'");
    return aged.length === 0;
  });
  const last = await start("remember", "kept", { args: [7] });
  expect(await last.result()).toEqual({ doubled: 14 });
  expect(await store.query("select from flushes")).not.toEqual([]);

  expect(await checkStore({ source: testSource(), schema: store.namespace })).toEqual([]);
  await old.signal("end", "at last");
  expect(await old.result()).toEqual({ first: 2, told: "at last", last: 4 });
  await onlyLeft(store, [last]);
});
