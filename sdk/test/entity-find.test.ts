/**
 * Entities that are found from outside: by type, id and conditions, while their runs go on and after their end.
 */
import { resolveConnection } from "@memflow/engine";
import { checkStore } from "@memflow/engine/testing";
import { Client, ConnectionError, Entity, MemFlow, MemFlowError, Search } from "@memflow/sdk";
import type { Json } from "@memflow/sdk";
import fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import { eventually, setup } from "./setup.ts";
import type { TestStore } from "./setup.ts";

const QUEUE = "find";

/** Keeps its argument as its memory, then waits. */
async function keeps(document: Json): Promise<void> {
  const memory = await MemFlow.workflow.entity();
  await memory.set(document);
  const next = await MemFlow.workflow.waitFor<Json>("next");
  await memory.set(next);
}

/** Goes on changing its memory in small steps without ever resting in between. */
async function busy(steps: number): Promise<void> {
  const memory = await MemFlow.workflow.entity();
  for (let step = 1; step <= steps; step += 1) await memory.increment("count");
}

async function startAll(store: TestStore, entity: string, documents: readonly Json[]): Promise<void> {
  for (const [index, document] of documents.entries()) {
    await store.client.workflow.start({
      entity,
      taskQueue: QUEUE,
      workflowName: "keeps",
      workflowId: `${entity}-${index}`,
      args: [document],
    });
  }
  await eventually(
    "all wait",
    async () => (await store.query("select from waits")).length >= documents.length,
  );
}

const keysOf = (rows: readonly { readonly key: string }[]): string[] => rows.map(({ key }) => key);

test("entities are found by type and conditions, newest first, with the status of their runs", async () => {
  const store = await setup();
  const { client } = store;
  await store.worker({ taskQueue: QUEUE, workflow: { keeps } });
  await startAll(store, "user", [
    { name: "Ada", age: 36, plan: { kind: "pro" } },
    { name: "Bob", age: 41, plan: { kind: "free" } },
    { name: "Cyd", age: 29, plan: { kind: "pro" } },
  ]);
  await client.workflow.start({
    entity: "order",
    taskQueue: QUEUE,
    workflowName: "keeps",
    args: [{ name: "Ada" }],
  });

  expect(await Entity.find("user", { name: "Ada" }, client)).toEqual([
    { key: "user-0", context: { name: "Ada", age: 36, plan: { kind: "pro" } }, status: 1 },
  ]);
  expect(keysOf(await Entity.find("user", {}, client))).toEqual(["user-2", "user-1", "user-0"]);
  expect(keysOf(await Entity.find("user", {}, client, { limit: 1, offset: 1 }))).toEqual(["user-1"]);
  expect(keysOf(await Entity.find("user", { "plan.kind": "pro", age: { $gt: 30 } }, client))).toEqual([
    "user-0",
  ]);
  expect(await Entity.find("user", { name: "Dan" }, client)).toEqual([]);
  expect(await Entity.find("nobody", {}, client)).toEqual([]);

  const by = async (field: string, value: Json, operator: string) =>
    keysOf(await Entity.findByCondition("user", field, value, operator, client));
  expect(await by("age", 36, "=")).toEqual(["user-0"]);
  expect(await by("age", 36, "!=")).toEqual(["user-2", "user-1"]);
  expect(await by("age", 36, ">")).toEqual(["user-1"]);
  expect(await by("age", 36, "<=")).toEqual(["user-2", "user-0"]);
  expect(await by("name", "%b%", "LIKE")).toEqual(["user-1"]);
  expect(await by("name", ["Ada", "Cyd"], "IN")).toEqual(["user-2", "user-0"]);
  expect(await by("missing", 1, "!=")).toEqual(["user-2", "user-1", "user-0"]);
});

test("an entity is found by its workflow id, and only as its own type", async () => {
  const store = await setup();
  const { client } = store;
  await store.worker({ taskQueue: QUEUE, workflow: { keeps } });
  await startAll(store, "user", [{ name: "Ada" }]);
  const engine = await client.getHotMeshClient();
  expect(await Entity.findById("user", "user-0", engine)).toEqual({
    key: "user-0",
    context: { name: "Ada" },
    status: 1,
  });
  expect(await Entity.findById("order", "user-0", client)).toBeNull();
  expect(await Entity.findById("user", "nobody", client)).toBeNull();
});

test("a run that never used its memory is found as {}, also before any worker; one without a type is not", async () => {
  const store = await setup();
  const { client } = store;
  await client.workflow.start({
    entity: "user",
    taskQueue: QUEUE,
    workflowName: "keeps",
    workflowId: "early",
  });
  await client.workflow.start({ taskQueue: QUEUE, workflowName: "keeps", workflowId: "typeless" });
  expect(await Entity.find("user", {}, client)).toEqual([{ key: "early", context: {}, status: 1 }]);
});

test("a child has an entity of its own type, and the one of its parent is not touched", async () => {
  const store = await setup();
  const { client } = store;
  const parent = async (): Promise<unknown> => {
    const memory = await MemFlow.workflow.entity();
    await memory.set({ role: "parent" });
    return await MemFlow.workflow.execChild({
      entity: "child",
      workflowName: "leaf",
      taskQueue: QUEUE,
      workflowId: "leaf",
    });
  };
  const leaf = async (): Promise<unknown> => {
    const memory = await MemFlow.workflow.entity();
    return await memory.merge({ role: "child" });
  };
  await store.worker({ taskQueue: QUEUE, workflow: { parent, leaf } });
  const handle = await client.workflow.start({
    entity: "parent",
    workflowName: "parent",
    taskQueue: QUEUE,
    workflowId: "p",
  });
  expect(await handle.result()).toEqual({ role: "child" });
  expect(await Entity.find("child", { role: "child" }, client)).toEqual([
    { key: "leaf", context: { role: "child" }, status: 0 },
  ]);
  expect(keysOf(await Entity.find("parent", { role: "parent" }, client))).toEqual(["p"]);
});

test("what is found is the last recorded change, while runs change and when they have ended or were stopped", async () => {
  const store = await setup();
  const { client } = store;
  await store.worker({ taskQueue: QUEUE, workflow: { keeps, busy } });
  await startAll(store, "state", [{ step: "one" }, { step: "one" }]);
  expect(keysOf(await Entity.find("state", { step: "one" }, client))).toEqual(["state-1", "state-0"]);

  const [first, second] = await Promise.all([
    client.workflow.getHandle("state-0"),
    client.workflow.getHandle("state-1"),
  ]);
  await first.signal("next", { step: "two" });
  await first.result();
  await second.interrupt({ throw: false });
  expect(await Entity.find("state", { step: "two" }, client)).toEqual([
    { key: "state-0", context: { step: "two" }, status: 0 },
  ]);
  const [stopped] = await Entity.find("state", { step: "one" }, client);
  expect(stopped?.key).toBe("state-1");
  expect(stopped?.status).toBeLessThan(-1_000_000);

  const handle = await client.workflow.start({
    entity: "busy",
    taskQueue: QUEUE,
    workflowName: "busy",
    args: [400],
  });
  let seen = 0;
  while (seen < 400) {
    const [row] = await Entity.find<{ readonly count?: number }>("busy", {}, client);
    const count = row?.context.count ?? 0;
    expect(count).toBeGreaterThanOrEqual(seen);
    if (count > 0)
      expect(keysOf(await Entity.find("busy", { count: { $gte: count } }, client))).toHaveLength(1);
    seen = count;
  }
  await handle.result();
  expect(await checkStore({ source: resolveConnection(store.url), schema: store.namespace })).toEqual([]);
});

test("a run that rests, and one that has ended, leave a snapshot that is up to date", async () => {
  const store = await setup();
  await store.worker({ taskQueue: QUEUE, workflow: { keeps } });
  await startAll(store, "rest", [{ step: 1 }]);
  const snapshots = () => store.query("select snapshot, stale from entities");
  await eventually("its snapshot is fresh", async () =>
    (await snapshots()).some((row) => row["stale"] === false),
  );
  expect(await snapshots()).toEqual([{ snapshot: { step: 1 }, stale: false }]);
  const handle = await store.client.workflow.getHandle("rest-0");
  await handle.signal("next", { step: 2 });
  await handle.result();
  expect(await snapshots()).toEqual([{ snapshot: { step: 2 }, stale: false }]);
});

test("an index is made once, is listed, and changes no result", async () => {
  const store = await setup();
  const { client } = store;
  await store.worker({ taskQueue: QUEUE, workflow: { keeps } });
  await startAll(store, "user", [{ name: "Ada" }, { name: "Bob" }]);
  const before = await Entity.find("user", { name: "Bob" }, client);
  const name = await Entity.createIndex("user", "name", client);
  expect(await Entity.createIndex("order", "name", client)).toBe(name);
  const gin = await Entity.createIndex("user", "name", client, "gin");
  expect(await Search.listSearchIndexes(client)).toEqual([name, gin].toSorted());
  expect(await Entity.find("user", { name: "Bob" }, client)).toEqual(before);
  await expect(Entity.createIndex("user", "name", client, "gist" as never)).rejects.toMatchObject({
    field: "kind",
  });
  await expect(Entity.createIndex("user", "", client)).rejects.toMatchObject({ code: "ENTITY_BAD_PATH" });
});

test("a role that does not own the tables can't make an index, and is told the SQL that its owner runs", async () => {
  const store = await setup();
  await store.client.getHotMeshClient();
  const role = `${store.namespace}_reader`;
  await store.query(`create role ${role} login password 'reader'`);
  onTestFinished(async () => void (await store.query(`drop owned by ${role}; drop role ${role}`)));
  await store.query(`grant usage on schema ${store.namespace} to ${role}`);
  await store.query(`grant select on all tables in schema ${store.namespace} to ${role}`);
  const connection = Object.assign(new URL(store.url), { username: role, password: "reader" }).href;
  const client = new Client({ connection, namespace: store.namespace });
  const refused = Entity.createIndex("user", 'it\'s "quoted"', client).catch((error: unknown) => error);
  const error = await refused;
  expect(error).toBeInstanceOf(ConnectionError);
  expect(error).toMatchObject({ code: "PERMISSION_DENIED" });
  const [, statement = ""] = /runs: (.*);$/su.exec((error as Error).message) ?? [];
  await store.query(statement);
  expect(await Search.listSearchIndexes(store.client)).toHaveLength(1);
  expect(await Entity.createIndex("user", 'it\'s "quoted"', client)).toBe(
    (await Search.listSearchIndexes(store.client))[0],
  );
});

test("whatever names, paths, operators and values are given, the answer is a result or an error of MemFlow", async () => {
  const store = await setup();
  const { client } = store;
  await client.workflow.start({ entity: "user", taskQueue: QUEUE, workflowName: "keeps", workflowId: "one" });
  const hostile = fc.constantFrom(
    "'; drop table runs; --",
    '"',
    "\\",
    "{a,b}",
    "$1",
    "a'b",
    "%s",
    ":schema",
    "*/",
    "\0",
    "\ud800",
    "a..b",
    "$.a",
    "-1",
    "",
  );
  const text = fc.oneof(hostile, fc.string({ unit: "binary" }), fc.string());
  const operator = fc.oneof(
    fc.constantFrom("=", "!=", ">", "LIKE", "IN", "$in", "$like", "$eq", "; --"),
    text,
  );
  const value = fc.oneof(text, fc.jsonValue(), fc.anything());
  const answers = async (search: () => Promise<unknown>): Promise<void> => {
    await search().catch((error: unknown) => expect(error).toBeInstanceOf(MemFlowError));
  };
  await fc.assert(
    fc.asyncProperty(text, text, operator, value, async (entity, field, how, what) => {
      await answers(() => Entity.findByCondition("user", field, what as Json, how, client));
      await answers(() => Entity.find(entity, { [field]: what as Json }, client));
      await answers(() =>
        Entity.find("user", { [field]: { [how]: what } }, client, { limit: what as number }),
      );
      await answers(() => Entity.findById(entity, field, client));
      await answers(() => Search.findAllUserData(field, client));
    }),
    { numRuns: 150 },
  );
  await fc.assert(
    fc.asyncProperty(text, fc.constantFrom("btree", "gin"), async (field, kind) => {
      await answers(() => Entity.createIndex("user", field, client, kind));
    }),
    { numRuns: 20 },
  );
  expect(keysOf(await Entity.find("user", {}, client))).toEqual(["one"]);
});
