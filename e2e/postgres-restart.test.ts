/**
 * Runs outlive their database and its wake-ups: Postgres is killed and comes back, or only the connections that listen are
 * cut, and everything goes on by itself with nothing lost and nothing twice.
 *
 * The killed server is one of this file's own; the cut happens in a database of its own, so that no other test is cut.
 */
import { startEmbeddedPostgres } from "@memflow/cli/embedded-postgres";
import { EngineWorker, forgetProvisioned, resolveConnection } from "@memflow/engine";
import type { Invoke } from "@memflow/engine";
import {
  checkStore,
  eventually,
  testDatabaseUrl,
  testDatabaseUrlWith,
  uniqueName,
} from "@memflow/engine/testing";
import { Client, MemFlow, Worker } from "@memflow/sdk";
import type { WorkflowHandle } from "@memflow/sdk";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { expect, onTestFinished, test } from "vitest";

const QUEUE = "restart";
const WAITING_RUNS = 333;
const SLEEPING_RUNS = 333;
const WORKING_RUNS = 334;
const STEPS = 10;
/** The step that is under way in many runs while the server is away. */
const GATED_STEP = 5;
/** So many attempts one engine runs at once: that many stand at the gate for sure. */
const GATED_ENOUGH = 100;
const REMOVAL_RETRY_MAX = 50;
const RESTART_TIMEOUT_MS = 240_000;

/** Longer than any test: what goes on within it was not found by polling. */
const NEVER_MS = 600_000;
const CUTS = 10;
/** The client's and the worker's. */
const LISTENERS = 2;

const gate = Promise.withResolvers<void>();
let gatedCount = 0;

const { step } = MemFlow.workflow.proxyActivities({
  activities: {
    step: async (sum: number, number: number): Promise<number> => {
      if (number === GATED_STEP) {
        gatedCount += 1;
        await gate.promise;
      }
      return sum + number;
    },
  },
});

async function working(start: number): Promise<number> {
  let sum = start;
  for (let number = 1; number <= STEPS; number += 1) sum = await step(sum, number);
  return sum;
}

async function sleeping(number: number): Promise<number> {
  await MemFlow.workflow.sleepFor("5s");
  return await step(number, 1);
}

async function waiting(): Promise<unknown[]> {
  return [await MemFlow.workflow.waitFor("first"), await MemFlow.workflow.waitFor("second")];
}

async function answering(): Promise<unknown> {
  return await MemFlow.workflow.waitFor("go");
}

const WORKFLOWS: ReadonlyMap<string, Invoke> = new Map<string, Invoke>([
  ["working", (_context, [start]) => working(start as number)],
  ["sleeping", (_context, [number]) => sleeping(number as number)],
  ["waiting", () => waiting()],
]);

/** A server of this test's own: `restart` kills it, calls `whileAway` and starts it anew on its port and data. */
async function privateServer(): Promise<{
  readonly url: string;
  restart(whileAway: () => void): Promise<void>;
  stop(): Promise<void>;
}> {
  const dataDir = await mkdtemp(join(tmpdir(), "memflow-restart-"));
  let server = await startEmbeddedPostgres({ dataDir });
  const { url } = server;
  return {
    url,
    restart: async (whileAway) => {
      process.kill(server.pid, "SIGKILL");
      await server.exited;
      whileAway();
      server = await startEmbeddedPostgres({ dataDir, port: server.port });
      expect(server.url).toBe(url);
    },
    stop: async () => {
      await server.stop();
      await rm(dataDir, { recursive: true, force: true, maxRetries: REMOVAL_RETRY_MAX });
    },
  };
}

/** Rows of a statement, over a connection for this statement alone: no server's end can break it in between. */
async function query<Row extends pg.QueryResultRow>(url: string, text: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Row>(text)).rows;
  } finally {
    await client.end();
  }
}

async function countOf(url: string, from: string): Promise<number> {
  const [row] = await query<{ count: number }>(url, `select count(*)::integer as count from ${from}`);
  return row?.count ?? 0;
}

async function startMany(client: Client, workflowName: string, count: number): Promise<WorkflowHandle[]> {
  const starts = Array.from({ length: count }, (_value, number) =>
    client.workflow.start({ taskQueue: QUEUE, workflowName, args: [number] }),
  );
  return await Promise.all(starts);
}

const resultsOf = (handles: readonly WorkflowHandle[]): Promise<unknown[]> =>
  Promise.all(handles.map((handle) => handle.result()));

const signalAll = (handles: readonly WorkflowHandle[], signalId: string): Promise<void[]> =>
  Promise.all(handles.map((handle, number) => handle.signal(signalId, `${signalId} ${number}`)));

const numbersTo = (count: number): number[] => Array.from({ length: count }, (_value, number) => number);

test(
  "1,000 runs that sleep, wait and work survive a kill of Postgres",
  async () => {
    const server = await privateServer();
    const schema = uniqueName();
    const engines: EngineWorker[] = [];
    onTestFinished(async () => {
      gate.resolve();
      await Promise.all(engines.map((engine) => engine.shutdown({ graceMs: 0 })));
      await MemFlow.shutdown();
      await server.stop();
      forgetProvisioned();
    });
    const source = resolveConnection(server.url);
    const fatal: unknown[] = [];
    for (let number = 0; number < 2; number += 1) {
      const engine = await EngineWorker.start({
        source,
        schema,
        // It says at length that the database is away, as it should.
        log: () => undefined,
        onFatal: (error) => fatal.push(error),
      });
      engines.push(engine);
      await engine.serve(QUEUE, WORKFLOWS);
    }
    const client = new Client({
      connection: { class: pg.Client, options: { connectionString: server.url } },
      namespace: schema,
    });

    const waiters = await startMany(client, "waiting", WAITING_RUNS);
    await eventually("all wait", async () => (await countOf(server.url, `${schema}.waits`)) === WAITING_RUNS);
    const workers = await startMany(client, "working", WORKING_RUNS);
    await eventually("many are in the middle of their steps", () => gatedCount >= GATED_ENOUGH);
    const sleepers = await startMany(client, "sleeping", SLEEPING_RUNS);
    const asleep = `${schema}.runs where workflow_name = 'sleeping' and (wake_at is not null or event_count > 0)`;
    await eventually("all sleep", async () => (await countOf(server.url, asleep)) === SLEEPING_RUNS);

    const results = Promise.all([resultsOf(waiters), resultsOf(workers), resultsOf(sleepers)]);
    // One half is on its way when the server goes, the other half is sent to a server that is not there.
    const half = waiters.slice(0, WAITING_RUNS / 2);
    const sentBefore = signalAll(half, "first");
    const sentWhileAway = Promise.withResolvers<void>();
    await server.restart(() => {
      gate.resolve();
      const rest = waiters.slice(half.length);
      sentWhileAway.resolve(
        Promise.all(
          rest.map((handle, number) => handle.signal("first", `first ${half.length + number}`)),
        ).then(() => undefined),
      );
    });
    await Promise.all([sentBefore, sentWhileAway.promise]);
    await signalAll(waiters, "second");

    const [waited, worked, slept] = await results;
    const stepSum = (STEPS * (STEPS + 1)) / 2;
    expect(waited).toEqual(numbersTo(WAITING_RUNS).map((number) => [`first ${number}`, `second ${number}`]));
    expect(worked).toEqual(numbersTo(WORKING_RUNS).map((number) => number + stepSum));
    expect(slept).toEqual(numbersTo(SLEEPING_RUNS).map((number) => number + 1));
    expect(fatal).toEqual([]);

    const outcomes = `select run_id, position, count(*)::integer as count from ${schema}.events where kind in (1, 2) group by run_id, position`;
    const recorded = await query<{ count: number }>(server.url, outcomes);
    expect(recorded).toHaveLength(WORKING_RUNS * STEPS + SLEEPING_RUNS);
    expect(recorded.filter(({ count }) => count !== 1)).toEqual([]);
    const signals = waiters.flatMap(({ runId }, number) =>
      ["first", "second"].map((signalId) => ({ runId, signalId, data: `${signalId} ${number}` })),
    );
    const starts = [...waiters, ...workers, ...sleepers].map(({ runId }) => runId);
    const known = { workflows: WORKFLOWS, acknowledged: { starts, signals } };
    expect(await checkStore({ source, schema }, known)).toEqual([]);
  },
  RESTART_TIMEOUT_MS,
);

/** A database of this test's own on the test run's server. */
async function privateDatabase(): Promise<{ readonly url: string; drop(): Promise<void> }> {
  const name = uniqueName();
  await query(testDatabaseUrl(), `create database ${name}`);
  return {
    url: testDatabaseUrlWith({ pathname: `/${name}` }),
    drop: async () => void (await query(testDatabaseUrl(), `drop database ${name} with (force)`)),
  };
}

test("LISTEN cut alone loses no wake-up", async () => {
  const database = await privateDatabase();
  const namespace = uniqueName();
  onTestFinished(async () => {
    await MemFlow.shutdown({ graceMs: 0 });
    await database.drop();
    forgetProvisioned();
  });
  const connection = { class: pg.Client, options: { connectionString: database.url } };
  const client = new Client({ connection, namespace });
  await Worker.create({
    connection,
    namespace,
    taskQueue: QUEUE,
    workflow: { answering },
    options: { pollMs: NEVER_MS, sweepMs: NEVER_MS },
  });
  const start = (): Promise<WorkflowHandle> =>
    client.workflow.start({ taskQueue: QUEUE, workflowName: "answering", args: [] });
  const listeners =
    "pg_stat_activity where datname = current_database() and application_name = 'memflow:listen'";
  /** Returns when the backends are gone: what is told from now on reaches nobody until they have connected again. */
  const cut = async (): Promise<void> => {
    await eventually("both listen", async () => (await countOf(database.url, listeners)) === LISTENERS);
    const gone = await query<{ gone: boolean }>(
      database.url,
      `select pg_terminate_backend(pid, 30000) as gone from ${listeners}`,
    );
    expect(gone).toEqual([{ gone: true }, { gone: true }]);
  };

  // The client connects with its first call.
  const first = await start();
  await first.signal("go", "first");
  expect(await first.result()).toBe("first");
  for (let number = 0; number < CUTS; number += 1) {
    await cut();
    const handle = await start();
    await eventually("it waits", async () => (await countOf(database.url, `${namespace}.waits`)) === 1);
    const result = handle.result();
    await cut();
    await handle.signal("go", number);
    expect(await result).toBe(number);
  }
});
