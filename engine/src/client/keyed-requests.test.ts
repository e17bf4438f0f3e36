/** Starts and signals with an idempotency key, on a real Postgres. */
import { expect, onTestFinished, test } from "vitest";
import { newId } from "../store/new-id.ts";
import { makeScratchStore } from "../testing/scratch-store.ts";
import type { ScratchStore } from "../testing/scratch-store.ts";
import type { KeyedStartRequest } from "./keyed-requests.ts";
import { StoreClient } from "./store-client.ts";

const LATER_MS = Date.now() + 3_600_000;

async function setup(): Promise<{ readonly store: ScratchStore; readonly open: () => Promise<StoreClient> }> {
  const store = await makeScratchStore();
  const open = async (): Promise<StoreClient> => {
    const client = await StoreClient.open(store.place.source, store.place.schema);
    onTestFinished(() => client.close());
    return client;
  };
  return { store, open };
}

function start(
  key: string,
  changes: Partial<KeyedStartRequest> & { readonly fingerprint?: string; readonly expiresMs?: number } = {},
): KeyedStartRequest {
  const { fingerprint = "same", expiresMs = LATER_MS, ...request } = changes;
  return {
    runId: newId(),
    workflowId: newId(),
    workflowName: "work",
    taskQueue: "queue",
    input: "[1]",
    options: null,
    delayMs: 0,
    retentionSeconds: null,
    idempotency: { key, fingerprint, expiresMs },
    ...request,
  };
}

async function countRuns(store: ScratchStore): Promise<number> {
  const [row] = await store.sql<{ count: number }>("select count(*)::integer as count from :schema.runs");
  return row?.count ?? 0;
}

test("equal starts that come at once from several clients make one run, and all hear of it", async () => {
  const { store, open } = await setup();
  const clients = await Promise.all([open(), open(), open()]);
  const asked = clients.flatMap((client) => Array.from({ length: 50 }, () => client.startOnce(start("k"))));
  const outcomes = await Promise.all(asked);
  expect(new Set(outcomes.map(({ runId }) => runId)).size).toBe(1);
  expect(new Set(outcomes.map(({ workflowId }) => workflowId)).size).toBe(1);
  expect(outcomes.filter(({ fresh }) => fresh)).toHaveLength(1);
  expect(await countRuns(store)).toBe(1);
});

test("many keys of one flush begin each their own run, beside those that are known", async () => {
  const { store, open } = await setup();
  const client = await open();
  const first = await client.startOnce(start("known"));
  const outcomes = await Promise.all(
    ["a", "known", "b", "c"].map((key) => client.startOnce(start(key, { search: '{"color":"red"}' }))),
  );
  expect(outcomes.map(({ fresh }) => fresh)).toEqual([true, false, true, true]);
  expect(outcomes[1]?.runId).toBe(first.runId);
  expect(await countRuns(store)).toBe(4);
  const [made] = outcomes;
  expect(await client.searchData(made?.runId ?? "")).toEqual({ color: "red" });
});

test("another request under a key is refused, whether the first is under way or recorded", async () => {
  const { store, open } = await setup();
  const client = await open();
  const first = client.startOnce(start("k"));
  const second = client.startOnce(start("k", { fingerprint: "other" }));
  await expect(second).rejects.toMatchObject({ code: "IDEMPOTENCY_KEY_REUSED", key: "k" });
  await expect((await open()).startOnce(start("k", { fingerprint: "other" }))).rejects.toMatchObject({
    code: "IDEMPOTENCY_KEY_REUSED",
  });
  await expect(first).resolves.toMatchObject({ fresh: true });
  expect(await countRuns(store)).toBe(1);
});

test("a start that is refused leaves no key, and names the open run", async () => {
  const { open } = await setup();
  const client = await open();
  const holder = await client.startOnce(start("first", { workflowId: "order-7" }));
  const refused = start("second", { workflowId: "order-7" });
  await expect(client.startOnce(refused)).rejects.toMatchObject({
    code: "DUPLICATE_JOB",
    runId: holder.runId,
  });
  await client.stop({
    runId: holder.runId,
    status: "terminated",
    failure: { name: "TerminatedError", message: "over" },
    descend: false,
  });
  await expect(client.startOnce({ ...refused, runId: newId() })).resolves.toMatchObject({ fresh: true });
});

test("a key outlives its run, and another client", async () => {
  const { store, open } = await setup();
  const first = await open();
  const begun = await first.startOnce(start("k"));
  await store.sql("delete from :schema.runs");
  await first.close();
  const again = await (await open()).startOnce(start("k"));
  expect(again).toMatchObject({ runId: begun.runId, workflowId: begun.workflowId, fresh: false });
  expect(again.expiresMs).toBe(LATER_MS);
});

test("a key whose time is over is free again, and goes", async () => {
  const { store, open } = await setup();
  const client = await open();
  const old = await client.startOnce(start("k", { expiresMs: Date.now() - 60_000 }));
  const fresh = await client.startOnce(start("k"));
  expect(fresh.fresh).toBe(true);
  expect(fresh.runId).not.toBe(old.runId);
  await client.startOnce(start("old", { expiresMs: Date.now() - 60_000 }));
  await client.startOnce(start("next"));
  expect(await store.sql("select key from :schema.idempotency_keys order by key")).toEqual([
    { key: "start:k" },
    { key: "start:next" },
  ]);
});

test("equal signals are recorded once, each other one as it comes", async () => {
  const { store, open } = await setup();
  const clients = await Promise.all([open(), open()]);
  const runId = await store.insertRun();
  const signal = (client: StoreClient, key: string, fingerprint = "same") =>
    client.signalOnce({
      signalId: "go",
      payload: "1",
      toRunId: runId,
      idempotency: { key, fingerprint, expiresMs: LATER_MS },
    });
  const outcomes = await Promise.all(
    clients.flatMap((client) => ["a", "a", "b", "a", "c"].map((key) => signal(client, key))),
  );
  expect(outcomes.filter(({ fresh }) => fresh)).toHaveLength(3);
  expect(await store.sql("select name from :schema.inbox")).toHaveLength(3);
  await expect(signal(clients[0] ?? (await open()), "a", "other")).rejects.toMatchObject({
    code: "IDEMPOTENCY_KEY_REUSED",
  });
});

test("a signal to a run that has ended is refused and leaves no key", async () => {
  const { store, open } = await setup();
  const client = await open();
  const runId = await store.insertRun({ status: "completed", closed_at: new Date() });
  const refused = client.signalOnce({
    signalId: "go",
    payload: null,
    toRunId: runId,
    idempotency: { key: "k", fingerprint: "same", expiresMs: LATER_MS },
  });
  await expect(refused).rejects.toMatchObject({ code: "RUN_CLOSED" });
  expect(await store.sql("select key from :schema.idempotency_keys")).toEqual([]);
});
