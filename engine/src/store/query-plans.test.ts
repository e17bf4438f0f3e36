/**
 * The hot statements find rows by key: on an empty store, on a fresh one without statistics, and on a large one.
 *
 * Asks the server itself: how many sequential scans of each table a call has done, and how many of its rows it fetched, from
 * the transaction's own counters.
 */
import { beforeAll, afterAll, describe, expect, test } from "vitest";
import { testSource, uniqueName } from "../testing/test-database.ts";
import { candidatesStatement } from "../client/entity-finder.ts";
import { parseConditions } from "../core/entity-condition.ts";
import {
  boolArray,
  int2Array,
  int4Array,
  int8Array,
  jsonArray,
  textArray,
  timestamptzArray,
  uuidArray,
} from "./binary-arrays.ts";
import { clientQueries } from "./client-queries.ts";
import { quoteIdentifier } from "./identifiers.ts";
import { migrate } from "./migrator.ts";
import { newId } from "./new-id.ts";
import { PLANNER_SETTINGS } from "./planner-settings.ts";
import { scheduleQueries } from "../schedules/schedule-queries.ts";
import { Session } from "./session.ts";
import type { Statement } from "./session.ts";
import { workerQueries } from "./worker-queries.ts";

const LARGE_ROWS = 200_000;
/** Generic plans are made after five executions; a sixth must be as good. */
const REPEATS = 7;
/** Small by nature or scanned on purpose: incarnations, and the rows of the flush itself. */
const MAY_BE_SCANNED = new Set(["workers", "event_kinds", "schema_migrations"]);

/** What a call may fetch of one table: the few rows that it is about, and what a batch of claims or of retention may take. */
const FETCHED_ROWS_MAX = 2_000;

const schema = uniqueName("plans");
const worker = newId();
const session = new Session({ source: testSource(), purpose: "plans", settings: PLANNER_SETTINGS });
const queries = workerQueries(schema);
const asked = clientQueries(schema);
const ofSchedules = scheduleQueries(schema);
let flushNumber = 0;

beforeAll(async () => {
  await migrate({ source: testSource(), schema });
  await session.query(starts(1, () => "taken"));
  const builds = [
    { buildId: "b1", role: "Current", sharePercent: 90 },
    { buildId: "b2", role: "Ramping", sharePercent: 10 },
  ];
  await session.query({
    text: `select ${quoteIdentifier(schema)}.set_queue_builds('queue', $1, 1)`,
    values: [JSON.stringify({ pinning: "Pinned", builds })],
  });
  await session.query({ ...queries.registerWorker, values: [worker, '{"queues":[]}', null, "host", 60_000] });
});

afterAll(async () => {
  await session.query({ text: `drop schema ${quoteIdentifier(schema)} cascade` });
  await session.close();
});

/** Rolls a statement back once it has been watched. */
class Undone extends Error {}

/** What the statement did to each table, the most of several calls. */
interface TableReads {
  /** From end to end. */
  readonly scans: number;
  readonly fetchedRows: number;
}

async function readsOf(statement: () => Statement): Promise<ReadonlyMap<string, TableReads>> {
  const reads = new Map<string, TableReads>();
  for (let repeat = 0; repeat < REPEATS; repeat += 1) {
    const undone = session.transaction(async (query) => {
      const count = async (): Promise<ReadonlyMap<string, TableReads>> => {
        const { rows } = await query<TableReads & { readonly relname: string }>({
          text: `select relname, seq_scan::integer as scans, coalesce(idx_tup_fetch, 0)::integer as "fetchedRows"
            from pg_stat_xact_user_tables where schemaname = $1`,
          values: [schema],
        });
        return new Map(rows.map((row) => [row.relname, row]));
      };
      const before = await count();
      await query(statement());
      for (const [table, after] of await count()) {
        const was = before.get(table) ?? NO_READS;
        const most = reads.get(table) ?? NO_READS;
        reads.set(table, {
          scans: Math.max(most.scans, after.scans - was.scans),
          fetchedRows: Math.max(most.fetchedRows, after.fetchedRows - was.fetchedRows),
        });
      }
      throw new Undone();
    });
    await expect(undone).rejects.toBeInstanceOf(Undone);
  }
  return reads;
}

const NO_READS: TableReads = { scans: 0, fetchedRows: 0 };

function starts(count: number, workflowIdOf = (id: string): string => `w-${id}`): Statement {
  const ids = Array.from({ length: count }, () => newId());
  return {
    ...asked.startRuns,
    values: [
      newId(),
      (flushNumber += 1),
      uuidArray(ids),
      textArray(ids.map((id) => workflowIdOf(id))),
      textArray(ids.map(() => "flow")),
      textArray(ids.map(() => "queue")),
      "channel",
      int8Array(ids.map(() => 0)),
      // Their ends look up how long they stay.
      int4Array(ids.map(() => null)),
      jsonArray(ids.map(() => "[]")),
      jsonArray(ids.map(() => null)),
    ],
  };
}

/** Starts of runs that have an entity type and search data. */
function seeded(count: number): Statement {
  const { values = [] } = starts(count);
  const ids = Array.from({ length: count }, () => newId());
  const seeds = ids.map((run) => ({ run, type: "order", search: { a: "1" } }));
  return {
    ...asked.startSeededRuns,
    values: values
      .map((value, index) => (index === 2 ? uuidArray(ids) : value))
      .concat(JSON.stringify(seeds)),
  };
}

/** Starts with idempotency keys: new ones, one that was taken in an hour of another day, and one that is still kept. */
function keyed(count: number): Statement {
  const { values = [] } = starts(count + 2);
  const keys = [...Array.from({ length: count }, () => newId()), "k-1", "kept"];
  return {
    ...asked.startKeyedRuns,
    values: [
      ...values,
      textArray(keys.map((key) => `start:${key}`)),
      textArray(keys.map(() => "fingerprint")),
      int8Array(keys.map(() => Date.now() + 60_000)),
    ],
  };
}

/** A flush of runs that are not this worker's: it looks for them all the same. */
function flush(runIds: readonly string[], changed: readonly string[], extra: string | null): Statement {
  const all = <Value>(value: Value): Value[] => runIds.map(() => value);
  return {
    ...queries.flushRuns,
    values: [
      worker,
      (flushNumber += 1),
      uuidArray(runIds.toSorted()),
      int4Array(all(1)),
      uuidArray(changed.toSorted()),
      int4Array(changed.map(() => 1)),
      int4Array(changed.map(() => 1)),
      boolArray(changed.map(() => true)),
      timestamptzArray(changed.map(() => null)),
      textArray(changed.map(() => null)),
      jsonArray(changed.map(() => null)),
      jsonArray(changed.map(() => null)),
      uuidArray(runIds),
      int4Array(all(1_000)),
      int2Array(all(1)),
      int4Array(all(0)),
      timestamptzArray(all(Date.now())),
      textArray(all("step")),
      jsonArray(all('{"ok":true}')),
      extra,
    ],
  };
}

function statements(runIds: readonly string[]): Record<string, () => Statement> {
  const [run = newId()] = runIds;
  const extra = JSON.stringify({
    consumed: [{ run, message: "1" }],
    messages: [{ by: run, to: run, from: run, kind: 4, name: "go" }],
    signals: [{ by: run, from: run, name: "go", ttl_ms: 1000 }],
    waits: [{ run, position: 1, name: "go" }],
    waits_done: [{ run, position: 1, name: "go" }],
    activities: [
      { run, position: 1, attempt: 1, state: "local", due_ms: 0, task_queue: "queue", name: "a", policy: {} },
    ],
    activities_done: [{ run, position: 1 }],
    entities: [
      { run, no: 2_000, at: new Date(0), position: 1, kind: 20, name: "set", entity: run, payload: {} },
    ],
    cancels: [{ by: run, status: "canceled", failure: {} }],
    reached: [`w-${run}`, `l-1`],
    interrupts: [
      {
        by: run,
        no: 2_001,
        at: new Date(0),
        position: 2,
        workflow_id: `w-${run}`,
        failure: {},
        descend: true,
      },
    ],
    hooks: [
      {
        by: run,
        no: 2_002,
        at: new Date(0),
        position: 3,
        run: newId(),
        workflow_id: "hook",
        workflow_name: "flow",
        task_queue: "queue",
        into: "l-1",
      },
    ],
    releases: [{ run, ready: true }],
  });
  return {
    start_runs: () => starts(3),
    "start_runs of an id that is taken": () => starts(1, () => "taken"),
    "start_runs with search data": () => seeded(3),
    start_keyed_runs: () => keyed(3),
    "what a key has led to": () => ({ ...asked.startedUnder, values: ["k-2"] }),
    "a page of a history": () => ({ ...asked.eventPage, values: [run, 0, 100, 1_000_000] }),
    "the look at followed runs": () => ({
      ...asked.followedRuns,
      values: [uuidArray(runIds), int4Array(runIds.map(() => 0))],
    }),
    "the memory of runs": () => ({ ...asked.memories, values: [runIds] }),
    "an entity by its workflow id": () => ({ ...asked.entityOfId, values: ["order", "l-10"] }),
    "a search for entities": () =>
      candidatesStatement(schema, {
        entityType: "order",
        conditions: parseConditions({ status: "open", total: { $gt: 3 } }),
        before: "ffffffff-ffff-ffff-ffff-ffffffffffff",
        limit: 100,
      }),
    claim_runs: () => ({ ...queries.claimRuns, values: [worker, null, "queue", ["flow"], 50, false, 2] }),
    "claim_runs of a build": () => ({
      ...queries.claimRuns,
      values: [worker, "b2", "queue", ["flow"], 50, false, 2],
    }),
    "claim_activities of a build": () => ({
      ...queries.claimActivities,
      values: [worker, "b2", "queue", ["a"], 50],
    }),
    "ready_work of a build": () => ({
      ...queries.readyWork,
      values: ["b2", ["queue"], ["flow"], ["queue"], ["a"], 2],
    }),
    "the open runs of builds": () => ({
      text: `select * from ${quoteIdentifier(schema)}.observe_builds($1)`,
      values: [1_000],
    }),
    "the move of runs to another build": () => ({
      text: `select ${quoteIdentifier(schema)}.move_runs('queue', 'b1', 'b2', $1)`,
      values: [10],
    }),
    ready_work: () => ({ ...queries.readyWork, values: [null, ["queue"], ["flow"], ["queue"], ["a"], 2] }),
    "flush_runs of steps": () => flush(runIds, [], null),
    "flush_runs of steps and ends": () => flush(runIds, runIds.slice(1), null),
    "flush_runs of ends": () => flush(runIds, runIds, null),
    "flush_runs with its extra part": () => flush(runIds, runIds, extra),
    claim_activities: () => ({ ...queries.claimActivities, values: [worker, null, "queue", ["a"], 50] }),
    settle_activities: () => ({
      ...queries.settleActivities,
      values: [
        worker,
        (flushNumber += 1),
        JSON.stringify([{ run, position: 1, attempt: 1, kind: 1, advance: 0 }]),
      ],
    }),
    "the outcomes that a client waits for": () => ({ ...asked.outcomes, values: [runIds] }),
    "what was emitted": () => ({
      ...asked.emittedData,
      values: [uuidArray(runIds), int4Array(runIds.map(() => 1)), "topic"],
    }),
    "the inbox": () => ({ ...queries.loadInbox, values: [runIds, runIds.map(() => "0"), 1_000, 1_000_000] }),
    "the histories": () => ({
      ...queries.loadEvents,
      values: [runIds, runIds.map(() => 0), 1_000, 1_000_000],
    }),
    "the changes of entities": () => ({
      ...queries.loadChanges,
      values: [runIds, runIds.map(() => 1), runIds.map(() => 9), 1_000, 1_000_000],
    }),
    "the search for dead workers": () => ({ ...queries.buryWorkers, values: [worker, 2] }),
    "signals with keys": () => ({
      ...asked.sendKeyedSignals,
      values: [
        newId(),
        (flushNumber += 1),
        JSON.stringify([
          {
            name: "go",
            to: run,
            request: newId(),
            key: "signal:k-3",
            fingerprint: "f",
            expires_ms: Date.now(),
          },
        ]),
      ],
    }),
    "the release of the dead": () => ({ ...queries.releaseDead, values: [100] }),
    signals: () => ({
      ...asked.sendSignals,
      values: [
        newId(),
        (flushNumber += 1),
        JSON.stringify([
          { name: "go", ttl_ms: 1000 },
          { name: "go", to: run },
        ]),
      ],
    }),
    retention: () => ({ ...queries.prune, values: [100] }),
    "the claim of due schedules": () => ({ ...ofSchedules.claimSchedules, values: [null, 50, null] }),
    "the claim of the schedules of runs": () => ({
      ...ofSchedules.claimSchedules,
      values: [null, 50, [run]],
    }),
    "the starts of schedules": () => ({
      ...ofSchedules.startScheduled,
      values: [
        JSON.stringify([
          { run: newId(), schedule: "s-1", workflow_id: newId(), workflow_name: "flow", task_queue: "queue" },
        ]),
        JSON.stringify([{ run, status: "canceled", failure: {} }]),
      ],
    }),
    "the advance of schedules": () => ({
      ...ofSchedules.advanceSchedules,
      values: [JSON.stringify([{ schedule: "s-1", state: {}, next_ms: null, ended: [run] }])],
    }),
  };
}

async function someRuns(): Promise<string[]> {
  const { rows } = await session.query<{ run_id: string }>({
    text: `select run_id from ${quoteIdentifier(schema)}.runs limit 20`,
  });
  return rows.length > 0 ? rows.map(({ run_id: id }) => id) : [newId(), newId()];
}

describe.each([
  { stage: "an empty store", fill: async (): Promise<void> => undefined },
  { stage: "a fresh store", fill: async (): Promise<void> => void (await session.query(starts(50))) },
  {
    stage: "a large store",
    fill: async (): Promise<void> => {
      const quoted = quoteIdentifier(schema);
      await session.query({
        text: `
          with made as (
            insert into ${quoted}.runs (
              run_id, entity_id, parent_run_id, task_queue, workflow_name, workflow_id, build_id, status, owner, ready_at, expires_at
            )
            select id, id, gen_random_uuid(), 'queue', 'flow', 'l-' || n, case when n % 3 = 0 then 'b1' end, case when n % 10 = 0 then 'running' else 'completed' end,
              case when n % 20 = 0 then $1::uuid end, case when n % 20 = 10 then now() end,
              case when n % 10 <> 0 then now() + interval '1 day' end
            from (select n, gen_random_uuid() as id from generate_series(1, ${LARGE_ROWS}) n) numbered
            returning run_id
          )
          insert into ${quoted}.events (run_id, event_no, kind, position, at, name, payload)
          select run_id, 1, 1, 0, now(), 'step', '{}' from made`,
        values: [worker],
        timeoutMs: 120_000,
      });
      await session.query({
        text: `
          insert into ${quoted}.idempotency_keys (key, request_id, fingerprint, expires_at)
          select 'start:k-' || n, gen_random_uuid(), 'f', now() + (n % 1000 - 10) * interval '1 minute'
          from generate_series(1, ${LARGE_ROWS}) n
          union all
          select 'start:kept', gen_random_uuid(), 'f', now() + interval '1 day'`,
      });
      await session.query({
        text: `
          with made as (
            insert into ${quoted}.schedules (schedule_id, next_at, definition, state)
            select 's-' || n, now() + interval '1 day', '{}', '{}' from generate_series(1, ${LARGE_ROWS / 10}) n
            returning schedule_id
          )
          insert into ${quoted}.schedule_runs (run_id, schedule_id) select gen_random_uuid(), schedule_id from made`,
      });
    },
  },
])("on $stage", ({ fill }) => {
  let runIds: string[] = [];
  beforeAll(async () => {
    await fill();
    runIds = await someRuns();
    await session.query({
      text: `update ${quoteIdentifier(schema)}.runs set owner = $1, epoch = 1 where run_id = any ($2)`,
      values: [worker, runIds],
    });
  }, 180_000);

  test.each(Object.keys(statements([])))("%s reads only the rows that it is about", async (name) => {
    const statement = statements(runIds)[name];
    if (statement === undefined) throw new Error(`no statement "${name}"`);
    const reads = await readsOf(statement);
    const scanned = [...reads].filter(([table, { scans }]) => scans > 0 && !MAY_BE_SCANNED.has(table));
    const overread = [...reads].filter(([, { fetchedRows }]) => fetchedRows > FETCHED_ROWS_MAX);
    expect({ scanned, overread }).toEqual({ scanned: [], overread: [] });
  });
});
