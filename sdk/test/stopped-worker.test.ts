/**
 * A worker that stands still beyond its lease and then goes on where it was: nothing it still writes counts.
 */
import { randomInt } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { checkStore, testSource } from "@memflow/engine/testing";
import pg from "pg";
import { expect, onTestFinished, test } from "vitest";
import { QUEUE } from "./gate-workflows.ts";
import { eventually, setup } from "./setup.ts";
import type { TestStore, WorkerProcess } from "./setup.ts";

const MODULE = new URL("gate-workflows.ts", import.meta.url).href;
const OPTIONS = { deadAfterMs: 4_000, beatMs: 300, sweepMs: 200, pollMs: 200 };

/** Who works in which process. */
interface WorkerRow {
  readonly worker_id: string;
  readonly process_id: number;
  readonly dead: boolean;
}

/** Everything of the one run that a late writer could change. */
interface RunRows {
  readonly run: Readonly<Record<string, unknown>> | undefined;
  readonly events: readonly {
    readonly event_no: number;
    readonly position: number | null;
    readonly kind: string;
  }[];
}

/** A connection that holds the gate's lock, and a ledger for those who pass. */
async function closedGate(
  store: TestStore,
): Promise<{ readonly holder: pg.Client; readonly key: number; readonly ledger: string }> {
  const folder = mkdtempSync(path.join(os.tmpdir(), "memflow-gate-"));
  const holder = new pg.Client({ connectionString: store.url });
  await holder.connect();
  onTestFinished(async () => {
    await holder.end();
    rmSync(folder, { recursive: true });
  });
  const key = randomInt(1, 2 ** 31);
  await holder.query("select pg_advisory_lock($1)", [key]);
  await holder.query(`set search_path to ${store.namespace}`);
  return { holder, key, ledger: path.join(folder, "ledger") };
}

const waitersAt = (store: TestStore, key: number, count: number): Promise<boolean> =>
  eventually(`${count} activities at the gate`, async () => {
    const waiting = await store.query(
      "select from pg_locks where locktype = 'advisory' and objid = $1 and not granted",
      [key],
    );
    return waiting.length === count;
  });

const workersOf = (store: TestStore): Promise<WorkerRow[]> =>
  store.query<WorkerRow>(
    `select worker_id, (serves ->> 'processId')::integer as process_id, dead_at is not null as dead
     from workers order by started_at`,
  );

async function ownerOf(store: TestStore, runId: string): Promise<{ owner: string | null; epoch: number }> {
  const [row] = await store.query<{ owner: string | null; epoch: number }>(
    "select owner, epoch from runs where run_id = $1",
    [runId],
  );
  if (row === undefined) throw new Error(`run "${runId}" is not in the table`);
  return row;
}

async function rowsOf(store: TestStore, runId: string): Promise<RunRows> {
  const [run] = await store.query("select * from runs where run_id = $1", [runId]);
  const events = await store.query<RunRows["events"][number]>(
    "select * from history where run_id = $1 order by event_no",
    [runId],
  );
  return { run, events };
}

test("a worker stopped beyond its lease writes nothing more of its run, and goes on as a new incarnation", async () => {
  const store = await setup();
  const { holder, key, ledger } = await closedGate(store);
  const startOne = (): Promise<WorkerProcess> =>
    store.workerProcess({ module: MODULE, taskQueue: QUEUE, options: OPTIONS });
  const processes = [await startOne(), await startOne()];

  const handle = await store.client.workflow.start({
    taskQueue: QUEUE,
    workflowName: "crossGate",
    args: [{ url: store.url, key, ledger }],
  });
  await waitersAt(store, key, 1);
  const before = await ownerOf(store, handle.runId);
  const workers = await workersOf(store);
  const owner = workers.find(({ worker_id: id, dead }) => id === before.owner && !dead);
  const stopped = processes.find(({ child }) => child.pid === owner?.process_id);
  const other = processes.find((worker) => worker !== stopped);
  if (owner === undefined || stopped === undefined || other === undefined)
    throw new Error("the run's owner is none of the two processes");

  stopped.kill("SIGSTOP");
  const taken = await eventually("another owner", async () => {
    const now = await ownerOf(store, handle.runId);
    return now.owner !== null && now.owner !== before.owner && now;
  });
  expect(taken.epoch).toBeGreaterThan(before.epoch);
  await waitersAt(store, key, 2);
  await holder.query("select pg_advisory_unlock($1)", [key]);
  const result = { before: [0, 1, 2], crossedBy: other.child.pid, after: [3, 4, 5] };
  expect(await handle.result()).toEqual(result);
  const ended = await rowsOf(store, handle.runId);
  expect(ended.run).toMatchObject({ status: "completed", owner: null, epoch: taken.epoch, result });

  // Its heartbeat would tell it of its death, perhaps before it writes: no beat gets through until the write was refused.
  await holder.query("begin");
  await holder.query("lock table workers in share mode");
  stopped.kill("SIGCONT");
  const crossings = [other.child.pid, stopped.child.pid].join("\n");
  await eventually(
    "the outcome of the stopped worker's own attempt",
    () => readFileSync(ledger, "utf8").trim() === crossings,
  );
  await eventually("a refused flush of the stopped worker", async () => {
    const refused = await store.query(
      "select from flushes where writer = $1 and reply -> 'lost' ->> 0 = $2",
      [owner.worker_id, handle.runId],
    );
    return refused.length === 1;
  });
  await holder.query("commit");

  const reborn = await eventually("a new incarnation of the stopped worker", async () =>
    (await workersOf(store)).find(({ process_id: id, dead }) => id === stopped.child.pid && !dead),
  );
  expect(reborn.worker_id).not.toBe(owner.worker_id);
  other.kill("SIGKILL");
  await other.ended();
  const next = await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "tellWorker", args: [] });
  expect(await next.result()).toBe(stopped.child.pid);

  const after = await rowsOf(store, handle.runId);
  expect(after).toEqual(ended);
  expect(after.events.map(({ event_no: no }) => no)).toEqual(after.events.map((_, index) => index + 1));
  expect(after.events.map(({ kind, position }) => ({ kind, position }))).toEqual(
    Array.from({ length: 7 }, (_, position) => ({ kind: "activity_completed", position })),
  );
  expect(await handle.result()).toEqual(result);
  expect(await checkStore({ source: testSource(), schema: store.namespace })).toEqual([]);
});
