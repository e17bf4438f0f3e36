/** What crosses the path of a claim, a hand-over, a death or an end: nothing is forgotten, nobody is left behind. */
import pg from "pg";
import { expect, onTestFinished, test } from "vitest";
import { quoteIdentifier } from "../store/identifiers.ts";
import { newId } from "../store/new-id.ts";
import { provision } from "../store/provision.ts";
import { eventually } from "../testing/eventually.ts";
import { testDatabaseUrl, testSource, uniqueName } from "../testing/test-database.ts";

interface Store {
  /** One connection, and another for what goes on at the same time. */
  readonly one: pg.Client;
  readonly other: pg.Client;
  /** Settles when a statement of `client` waits for a lock. */
  blocked(client: pg.Client): Promise<void>;
  worker(options?: { readonly workflows?: readonly string[]; readonly dead?: boolean }): Promise<string>;
  /** A run as a worker left it. */
  run(columns: Readonly<Record<string, unknown>>): Promise<string>;
}

async function setup(): Promise<Store> {
  const schema = uniqueName();
  await provision(testSource(), schema);
  const [one, other, admin] = [client(), client(), client()];
  await Promise.all([one, other, admin].map((each) => each.connect()));
  onTestFinished(async () => {
    await Promise.all([one.end(), other.end()]);
    await admin.query(`drop schema ${quoteIdentifier(schema)} cascade`);
    await admin.end();
  });
  for (const each of [one, other, admin]) await each.query(`set search_path to ${quoteIdentifier(schema)}`);
  return {
    one,
    other,
    blocked: async (waiting) => {
      const { processID } = waiting as unknown as { readonly processID: number };
      await eventually("a statement that waits for a lock", async () => {
        const { rowCount } = await admin.query(
          "select from pg_stat_activity where pid = $1 and wait_event_type = 'Lock'",
          [processID],
        );
        return rowCount === 1;
      });
    },
    worker: async ({ workflows = ["w"], dead = false } = {}) => {
      const id = newId();
      const serves = { queues: [{ taskQueue: "q", workflows, activities: [] }] };
      await admin.query("select register_worker($1, $2, null, 'host', 10000)", [id, JSON.stringify(serves)]);
      if (dead)
        await admin.query("update workers set dead_at = clock_timestamp() where worker_id = $1", [id]);
      return id;
    },
    run: async (columns) => {
      const id = newId();
      const row = {
        run_id: id,
        entity_id: id,
        task_queue: "q",
        workflow_name: "w",
        workflow_id: id,
        ...columns,
      };
      await admin.query("insert into runs select * from json_populate_record(null::runs, $1)", [
        JSON.stringify({ ...RUN_DEFAULTS, ...row }),
      ]);
      return id;
    },
  };
}

const RUN_DEFAULTS = {
  started_at: new Date(),
  retention_seconds: 60,
  priority: 3,
  hook: false,
  epoch: 1,
  event_count: 0,
  busy_takeovers: 0,
  busy: false,
  status: "running",
  dialect: "memflow",
};

function client(): pg.Client {
  return new pg.Client({ connectionString: testDatabaseUrl() });
}

const signalTo = (run: string): string => JSON.stringify([{ to: run, kind: 4, name: "go" }]);

test.each([
  ["handed over", "select hand_over($1, 100)"],
  ["taken from a blocked worker", "select blame_run($1, 'run', gen_random_uuid(), 0)"],
])("a message that comes while its run is %s makes the run ready", async (_how, statement) => {
  const { one, other, blocked, worker, run } = await setup();
  const owner = await worker();
  const runId = await run({ owner });
  await one.query("begin");
  await one.query("select deliver_messages($1)", [signalTo(runId)]);
  const released = other.query(statement, [owner]);
  await blocked(other);
  await one.query("commit");
  await released;
  const { rows } = await one.query("select owner, ready_at <= clock_timestamp() as ready from runs");
  expect(rows).toEqual([{ owner: null, ready: true }]);
});

test("a signal passes by a waiter that ends, and reaches the next", async () => {
  const { one, other, blocked, worker, run } = await setup();
  const owner = await worker();
  const ending = await run({ owner });
  const patient = await run({ owner });
  for (const id of [ending, patient]) {
    await one.query("select await_signals($1)", [JSON.stringify([{ run: id, position: 0, name: "go" }])]);
  }
  await one.query("begin");
  await one.query("select from end_runs($1)", [JSON.stringify([{ run: ending, status: "canceled" }])]);
  const routed = other.query<{ to_run: string | null }>("select to_run from route_signals($1)", [
    JSON.stringify([{ name: "go", ttl_ms: 60_000 }]),
  ]);
  await blocked(other);
  await one.query("commit");
  expect((await routed).rows).toEqual([{ to_run: patient }]);
});

test("a hook that starts while its run is being ended ends with it", async () => {
  const { one, other, blocked, worker, run } = await setup();
  const owner = await worker();
  const parent = await run({ owner });
  await one.query("begin");
  await one.query("select from runs where run_id = $1 for no key update", [parent]);
  const ended = other.query("select from end_runs($1)", [
    JSON.stringify([{ run: parent, status: "canceled" }]),
  ]);
  await blocked(other);
  const hook = {
    run: newId(),
    workflow_id: newId(),
    workflow_name: "w",
    task_queue: "q",
    parent,
    hook: true,
  };
  await one.query("select from insert_runs($1)", [JSON.stringify([hook])]);
  await one.query("commit");
  await ended;
  const { rows } = await one.query("select status from runs");
  expect(rows).toEqual([{ status: "canceled" }, { status: "canceled" }]);
});

test("an attempt without a limit that dies with its worker holds up nobody", async () => {
  const { one, worker, run } = await setup();
  const owner = await worker({ dead: true });
  const runId = await run({ owner });
  await one.query(
    `insert into activities (run_id, position, attempt, state, owner, due_at, task_queue, name, policy)
    values ($1, 0, 1, 'leased', $2, clock_timestamp(), 'q', 'a', $3)`,
    [runId, owner, JSON.stringify({ maximumAttempts: Number.MAX_SAFE_INTEGER })],
  );
  await one.query("select from release_dead(100)");
  const { rows } = await one.query(
    "select r.owner, a.state, a.attempt from runs r join activities a using (run_id)",
  );
  expect(rows).toEqual([{ owner: null, state: "queued", attempt: 2 }]);
  await one.query("update activities set state = 'leased', owner = $1", [owner]);
  await one.query("select from hand_over($1, 100)", [owner]);
  expect((await one.query("select state, attempt from activities")).rows).toEqual([
    { state: "queued", attempt: 2 },
  ]);
});

test("an attempt that kills each worker that leases it ends as its run's failure", async () => {
  const { one, worker, run } = await setup();
  const runId = await run({ owner: await worker() });
  await one.query(
    `insert into activities (run_id, position, attempt, state, due_at, task_queue, name, policy)
    values ($1, 0, 1, 'queued', clock_timestamp(), 'q', 'a', '{"maximumAttempts": 3}')`,
    [runId],
  );
  let deaths = 0;
  for (;;) {
    const victim = await worker();
    const { rowCount } = await one.query("select from claim_activities($1, null, 'q', '{a}', 10)", [victim]);
    if (rowCount === 0) break;
    deaths += 1;
    await one.query("update workers set dead_at = clock_timestamp() where worker_id = $1", [victim]);
    await one.query("select from release_dead(100)");
  }
  expect(deaths).toBe(3);
  const { rows } = await one.query("select kind, position, payload ->> 'code' as code from inbox");
  expect(rows).toEqual([{ kind: 2, position: 0, code: "ATTEMPT_LOST" }]);
});

test("who looks after silent workers does not find itself dead", async () => {
  const { one, worker } = await setup();
  const [looking, silent] = [await worker(), await worker()];
  await one.query("update workers set beat_at = beat_at - interval '1 hour'");
  await one.query("select from bury_workers($1, 2)", [looking]);
  const { rows } = await one.query("select worker_id from workers where dead_at is not null");
  expect(rows).toEqual([{ worker_id: silent }]);
});

test("suspects of workflows that a worker does not serve are none of its business", async () => {
  const { one, worker, run } = await setup();
  await run({ ready_at: new Date(0), busy_takeovers: 5 });
  const suspects = async (workflows: readonly string[]): Promise<unknown> => {
    const { rows } = await one.query("select suspects from bury_workers($1, 2)", [
      await worker({ workflows }),
    ]);
    return rows;
  };
  expect(await suspects(["w"])).toEqual([{ suspects: true }]);
  expect(await suspects(["v"])).toEqual([{ suspects: false }]);
});

test("a worker that ended in order is forgotten in the end", async () => {
  const { one, worker } = await setup();
  await worker();
  await worker({ dead: true });
  await one.query("update workers set dead_at = dead_at - interval '2 hours' where dead_at is not null");
  await one.query("select from prune(100)");
  expect((await one.query("select dead_at from workers")).rows).toEqual([{ dead_at: null }]);
});
