/** Lists of runs: filters, orders, pages, counts. */
import fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import { newId } from "../store/new-id.ts";
import { makeScratchStore } from "../testing/scratch-store.ts";
import { StoreClient } from "./store-client.ts";
import type { RunFilter, RunOrder, RunPlace } from "./run-lists.ts";

const HOUR_MS = 3_600_000;
const NOW_MS = Date.now();
const STATUSES = ["running", "completed", "failed"] as const;

/** A store with runs that differ in all that can be asked for. */
async function setup() {
  const store = await makeScratchStore();
  const client = await StoreClient.open(store.place.source, store.place.schema);
  onTestFinished(() => client.close());
  const rows = [];
  for (let index = 0; index < 60; index += 1) {
    const status = STATUSES[index % 3] ?? "running";
    // Some end at the same moment: their order is by their ids.
    const closedMs = status === "running" ? null : NOW_MS - (index % 7) * HOUR_MS;
    const startedMs = NOW_MS - (60 - index) * HOUR_MS;
    const row = {
      // An id begins with the time of its start.
      run_id: idOf(startedMs),
      workflow_id: `${index % 2 === 0 ? "order" : "bill"}-${index}`,
      workflow_name: index % 4 === 0 ? "pay" : "ship",
      task_queue: `queue-${index % 3}`,
      status,
      started_at: new Date(startedMs),
      closed_at: closedMs === null ? null : new Date(closedMs),
    };
    await store.insertRun(row);
    rows.push(row);
  }
  await store.insertRun({ hook: true });
  return { store, client, rows };
}

function idOf(startedMs: number): string {
  const hex = startedMs.toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}${newId().slice(13)}`;
}

async function allPages(
  client: StoreClient,
  filter: RunFilter,
  order: RunOrder,
  limit: number,
): Promise<string[]> {
  const found: string[] = [];
  let after: RunPlace | undefined;
  do {
    const page = await client.listPage({ filter, order, limit, after });
    found.push(...page.runs.map(({ runId }) => runId));
    after = page.next;
  } while (after !== undefined);
  return found;
}

test("whatever is asked for, the pages together are exactly the runs that fit, in order, and as many as are counted", async () => {
  const { client, rows } = await setup();
  const filters = fc.record(
    {
      status: fc.constantFrom(...STATUSES),
      workflowName: fc.constantFrom("pay", "ship", "none"),
      taskQueues: fc.subarray(["queue-0", "queue-1", "queue-2"]),
      workflowIdPrefix: fc.constantFrom("order-", "bill-1", "%"),
      startedAfterMs: fc.integer({ min: NOW_MS - 70 * HOUR_MS, max: NOW_MS }),
      startedBeforeMs: fc.integer({ min: NOW_MS - 70 * HOUR_MS, max: NOW_MS }),
      closedAfterMs: fc.integer({ min: NOW_MS - 8 * HOUR_MS, max: NOW_MS }),
      closedBeforeMs: fc.integer({ min: NOW_MS - 8 * HOUR_MS, max: NOW_MS }),
    },
    { requiredKeys: [] },
  );
  const orders = fc.record({
    by: fc.constantFrom("startedAt", "closedAt"),
    descending: fc.boolean(),
  } as const);
  await fc.assert(
    fc.asyncProperty(filters, orders, fc.integer({ min: 1, max: 25 }), async (filter, order, limit) => {
      const fitting = rows.filter(
        (row) =>
          (filter.status === undefined || row.status === filter.status) &&
          (filter.workflowName === undefined || row.workflow_name === filter.workflowName) &&
          (filter.taskQueues === undefined || filter.taskQueues.includes(row.task_queue)) &&
          (filter.workflowIdPrefix === undefined || row.workflow_id.startsWith(filter.workflowIdPrefix)) &&
          (filter.startedAfterMs === undefined || row.started_at.getTime() >= filter.startedAfterMs) &&
          (filter.startedBeforeMs === undefined || row.started_at.getTime() < filter.startedBeforeMs) &&
          (filter.closedAfterMs === undefined || (row.closed_at?.getTime() ?? -1) >= filter.closedAfterMs) &&
          (filter.closedBeforeMs === undefined ||
            (row.closed_at !== null && row.closed_at.getTime() < filter.closedBeforeMs)),
      );
      const shown = fitting
        .filter((row) => order.by === "startedAt" || row.closed_at !== null)
        .toSorted((one, other) => {
          const byTime =
            order.by === "startedAt"
              ? 0
              : (one.closed_at?.getTime() ?? 0) - (other.closed_at?.getTime() ?? 0);
          const byId = one.run_id < other.run_id ? -1 : 1;
          return (byTime === 0 ? byId : byTime) * (order.descending ? -1 : 1);
        });
      expect(await allPages(client, filter, order, limit)).toEqual(shown.map((row) => row.run_id));
      expect(await client.countRuns(filter)).toBe(fitting.length);
    }),
    { numRuns: 60 },
  );
});

test("runs are found by search data that was changed a moment ago", async () => {
  const { store, client } = await setup();
  const request = { workflowName: "paint", taskQueue: "q", input: null, options: null, delayMs: 0 };
  const red = newId();
  await client.start({
    ...request,
    runId: red,
    workflowId: "red",
    retentionSeconds: 9,
    search: '{"color":"red"}',
  });
  await client.start({
    ...request,
    runId: newId(),
    workflowId: "blue",
    retentionSeconds: 9,
    search: '{"color":"blue"}',
  });
  const filter = { search: { color: "red" } };
  expect(await allPages(client, filter, { by: "startedAt", descending: true }, 5)).toEqual([red]);
  expect(await client.countRuns(filter)).toBe(1);
  expect(await store.sql("select from :schema.entities where stale")).toEqual([]);
});

test("a list that takes too long is refused by name, and the next one is answered", async () => {
  const { store, client } = await setup();
  await store.sql(`
    create function :schema.slow(text) returns text language plpgsql as
    $$ begin perform pg_sleep(60); return $1; end $$`);
  await store.sql("alter table :schema.runs rename to runs_kept");
  await store.sql(`create view :schema.runs as
    select r.*, :schema.slow('x') as slow from :schema.runs_kept r where :schema.slow(r.status) <> ''`);
  await expect(client.countRuns({})).rejects.toMatchObject({ code: "SEARCH_TIMEOUT" });
  await store.sql("drop view :schema.runs");
  await store.sql("alter table :schema.runs_kept rename to runs");
  expect(await client.countRuns({})).toBe(60);
});

test("the load of queues says what waits and who serves", async () => {
  const { store, client } = await setup();
  await store.insertRun({ task_queue: "mail", ready_at: new Date(NOW_MS - HOUR_MS) });
  await store.insert("workers", {
    worker_id: newId(),
    dead_after_ms: 3_600_000,
    serves: { queues: [{ taskQueue: "mail", workflows: [], activities: [] }] },
  });
  const mail = (await client.queueLoads()).find(({ taskQueue }) => taskQueue === "mail");
  expect(mail).toMatchObject({ ready: 1, inFlight: 0, workers: 1, nextTimerAt: null });
  expect(mail?.oldestReadyAt?.getTime()).toBe(NOW_MS - HOUR_MS);
});
