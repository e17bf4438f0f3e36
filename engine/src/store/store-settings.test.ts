/** How long closed runs stay: as their start says, else as their workflow's definition, else as the store's settings. */
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { makeScratchStore } from "../testing/scratch-store.ts";
import type { ScratchStore } from "../testing/scratch-store.ts";
import {
  boolArray,
  int2Array,
  int4Array,
  jsonArray,
  textArray,
  timestamptzArray,
  uuidArray,
} from "./binary-arrays.ts";
import { grantStatements } from "./grants.ts";
import { newId } from "./new-id.ts";
import { Session } from "./session.ts";
import { readStoreSettings, setStoreSettings } from "./store-settings.ts";
import { workerQueries } from "./worker-queries.ts";

const WEEK = 604_800;

let store: ScratchStore;
let session: Session;

beforeEach(async () => {
  store = await makeScratchStore();
  session = new Session({ source: store.place.source, purpose: "test" });
  onTestFinished(() => session.close());
});

const read = (): Promise<unknown> => readStoreSettings(session, store.place.schema);

async function set(completedSeconds: number, failedSeconds: number, fence = 1): Promise<boolean> {
  return await setStoreSettings(session, store.place.schema, { completedSeconds, failedSeconds, fence });
}

async function define(retention: object | undefined, workflowName = "work"): Promise<void> {
  const rows = [
    { taskQueue: "queue", workflowName, resource: "shop/work", suspended: false, definition: { retention } },
    {
      taskQueue: "other",
      workflowName,
      resource: "shop/other",
      suspended: false,
      definition: { retention: { completedMs: 1 } },
    },
  ];
  await store.sql("select :schema.set_workflow_definitions($1, 1)", [JSON.stringify(rows)]);
}

/** Ends a run as its owner does, by a flush. */
async function closeByFlush(status: string, run: object = {}): Promise<string> {
  const worker = newId();
  const runId = await store.insertRun({ owner: worker, epoch: 1, ...run });
  const { flushRuns } = workerQueries(store.place.schema);
  await session.query({
    ...flushRuns,
    values: [
      worker,
      1,
      uuidArray([runId]),
      int4Array([1]),
      uuidArray([runId]),
      int4Array([1]),
      int4Array([0]),
      boolArray([false]),
      timestamptzArray([null]),
      textArray([status]),
      jsonArray(['"done"']),
      jsonArray([null]),
      uuidArray([]),
      int4Array([]),
      int2Array([]),
      int4Array([]),
      timestamptzArray([]),
      textArray([]),
      jsonArray([]),
      null,
    ],
  });
  return runId;
}

/** Ends a run from outside. */
async function closeFromOutside(status: string, { end = {}, run = {} } = {}): Promise<string> {
  const runId = await store.insertRun(run);
  await store.sql("select :schema.end_runs($1)", [
    JSON.stringify([{ run: runId, status, failure: {}, ...end }]),
  ]);
  return runId;
}

async function keptSeconds(runId: string): Promise<number | undefined> {
  const [row] = await store.sql<{ kept: number }>(
    "select round(extract(epoch from expires_at - closed_at))::integer as kept from :schema.runs where run_id = $1",
    [runId],
  );
  return row?.kept;
}

test("in a store that nobody looks after closed runs stay for 7 days, however they ended", async () => {
  expect(await read()).toEqual({ completedSeconds: WEEK, failedSeconds: WEEK });
  for (const status of ["completed", "failed"])
    expect(await keptSeconds(await closeByFlush(status))).toBe(WEEK);
  for (const status of ["canceled", "terminated"])
    expect(await keptSeconds(await closeFromOutside(status))).toBe(WEEK);
});

test("the settings hold for all runs, by how they ended, from the moment they are written", async () => {
  const before = await closeByFlush("completed");
  expect(await set(60, 90)).toBe(true);
  expect(await set(60, 90)).toBe(false);
  expect(await read()).toEqual({ completedSeconds: 60, failedSeconds: 90 });
  expect(await keptSeconds(before)).toBe(WEEK);
  expect(await keptSeconds(await closeByFlush("completed"))).toBe(60);
  expect(await keptSeconds(await closeByFlush("failed"))).toBe(90);
  expect(await keptSeconds(await closeFromOutside("canceled"))).toBe(90);
});

test("a definition says it for its workflow on its queue, as far as it says anything", async () => {
  await set(60, 90);
  await define({ completedMs: 10_500 });
  expect(await keptSeconds(await closeByFlush("completed"))).toBe(11);
  expect(await keptSeconds(await closeByFlush("failed"))).toBe(90);
  expect(await keptSeconds(await closeByFlush("completed", { workflow_name: "else" }))).toBe(60);
  await define({ failedMs: 5_000 });
  expect(await keptSeconds(await closeByFlush("completed"))).toBe(60);
  expect(await keptSeconds(await closeFromOutside("terminated"))).toBe(5);
  await define(undefined);
  expect(await keptSeconds(await closeFromOutside("terminated"))).toBe(90);
});

test("what a start, or who ends a run, says of it wins", async () => {
  await set(60, 90);
  await define({ completedMs: 10_000, failedMs: 10_000 });
  expect(await keptSeconds(await closeByFlush("completed", { retention_seconds: 7 }))).toBe(7);
  expect(await keptSeconds(await closeByFlush("failed", { retention_seconds: 0 }))).toBe(0);
  expect(await keptSeconds(await closeFromOutside("canceled", { run: { retention_seconds: 7 } }))).toBe(7);
  const end = { retention_seconds: 3 };
  expect(await keptSeconds(await closeFromOutside("canceled", { end, run: { retention_seconds: 7 } }))).toBe(
    3,
  );
});

test("who was followed by a newer leader writes nothing any more", async () => {
  await set(60, 90, 2);
  await expect(set(1, 1, 1)).rejects.toMatchObject({ code: "LEADER_FOLLOWED" });
  expect(await read()).toEqual({ completedSeconds: 60, failedSeconds: 90 });
});

test("workers read the settings and write none", () => {
  const statements = grantStatements({ schema: "s", role: "w", owner: "o" });
  expect(statements.find((statement) => statement.startsWith("revoke"))).toContain('"s".store_settings');
});
