/**
 * Every form of a connection, from the start of a run to its result, by a client and by a worker that are given it.
 */
import { Client, Connection, ConnectionError, MemFlow, Worker } from "@memflow/sdk";
import type { ConnectionConfig } from "@memflow/sdk";
import pg from "pg";
import { expect, onTestFinished, test } from "vitest";
import { FAST, setup } from "./setup.ts";

const QUEUE = "connected";

const { add } = MemFlow.workflow.proxyActivities({
  activities: { add: (left: number, right: number) => left + right },
});

async function sum(left: number, right: number): Promise<number> {
  await MemFlow.workflow.sleepFor(1);
  return await add(left, right);
}

async function product(left: number, right: number): Promise<number> {
  return await Promise.resolve(left * right);
}

function poolOf(url: string): pg.Pool {
  const pool = new pg.Pool({ connectionString: url, max: 1 });
  onTestFinished(() => pool.end());
  return pool;
}

const FORMS: Readonly<Record<string, (url: string) => ConnectionConfig>> = {
  "pg.Client and its options": (url) => ({ class: pg.Client, options: { connectionString: url } }),
  "pg.Client and the parts of an address": (url) => {
    const { hostname: host, port, username: user, password, pathname } = new URL(url);
    const options = { host, port: Number(port), user, password, database: pathname.slice(1) };
    return { class: pg.Client, options };
  },
  "pg.Pool and its options": (url) => ({ class: pg.Pool, options: { connectionString: url, max: 3 } }),
  "a pool as the class": (url) => ({ class: poolOf(url), options: {} }),
  "a pool as the class, without options": (url) => ({ class: poolOf(url) }),
  "a bare pool": poolOf,
  "store, stream and sub": (url) => {
    const one = { class: pg.Client, options: { connectionString: url } };
    return { store: one, stream: one, sub: one };
  },
  "store, stream, sub, pub and search with pools": (url) => {
    const one = { class: pg.Pool, options: { connectionString: url } };
    return { store: one, stream: one, sub: one, pub: one, search: one };
  },
  "a provider": (url) => ({
    class: pg.Pool,
    options: { connectionString: url },
    provider: "postgres.pool",
  }),
  "a connection string": (url) => url,
  "what Connection.connect was given": (url) => ({ class: pg.Client, options: { connectionString: url } }),
};

test.each(Object.entries(FORMS))(
  "a worker and a client that are given %s work together",
  async (form, make) => {
    const { url, namespace } = await setup();
    const given = make(url);
    const connection = form.startsWith("what") ? await Connection.connect(given) : given;
    const worker = await Worker.create({
      connection,
      namespace,
      taskQueue: QUEUE,
      workflow: sum,
      options: FAST,
    });
    await worker.run();
    const client = new Client({ connection, namespace });
    const handle = await client.workflow.start({ taskQueue: QUEUE, workflowName: "sum", args: [40, 2] });
    expect(await handle.result()).toBe(42);
    expect(handle.workflowTopic).toBe(`${QUEUE}-sum`);
  },
);

test("Connection.connect connects to nothing, and gives back what it was given", async () => {
  const config = {
    class: pg.Client,
    options: { connectionString: "postgresql://nobody@localhost:1/nothing" },
  };
  expect(await Connection.connect(config)).toEqual(config);
  expect(await MemFlow.Connection.connect({ ...config, readonly: true })).toEqual({
    ...config,
    readonly: true,
  });
});

test("a readonly connection starts, signals, hooks, reads and stops runs, and never executes one", async () => {
  const store = await setup();
  const connection = { ...store.connection, readonly: true };
  const nested = { store: store.connection, stream: {}, sub: {}, readonly: true };
  for (const refused of [connection, nested]) {
    const creating = Worker.create({
      connection: refused,
      namespace: store.namespace,
      taskQueue: QUEUE,
      workflow: sum,
    });
    await expect(creating).rejects.toBeInstanceOf(ConnectionError);
    await expect(creating).rejects.toMatchObject({ code: "BAD_CONNECTION" });
  }
  const client = new Client({ connection, namespace: store.namespace });
  const waits = async (): Promise<unknown> => await MemFlow.workflow.waitFor("word");
  const says = async (): Promise<void> => void (await MemFlow.workflow.signal("word", "hooked"));
  const start = (workflowId: string) =>
    client.workflow.start({ taskQueue: QUEUE, workflowName: "waits", workflowId });
  const [signaled, hooked, stopped] = [
    await start("signaled"),
    await start("hooked"),
    await start("stopped"),
  ];
  await signaled.signal("word", "signaled");
  await client.workflow.hook({ workflowId: "hooked", taskQueue: QUEUE, workflowName: "says" });
  await stopped.terminate();
  expect(await store.query("select 1 from runs where owner is not null")).toEqual([]);
  expect(await store.query("select 1 from workers")).toEqual([]);
  await store.worker({ taskQueue: QUEUE, workflow: { waits, says } });
  expect([await signaled.result(), await hooked.result()]).toEqual(["signaled", "hooked"]);
  await expect(stopped.result()).rejects.toMatchObject({ code: "TERMINATED" });
  expect((await client.workflow.list()).length).toBe(3);
});

test("workers that come after the start serve it, several of one queue and connection, functions and records", async () => {
  const store = await setup();
  const start = (taskQueue: string, workflowName: string) =>
    store.client.workflow.start({ taskQueue, workflowName, args: [6, 7] });
  const early = [await start(QUEUE, "sum"), await start(QUEUE, "product"), await start("other", "sum")];
  const workers = [
    await store.worker({ taskQueue: QUEUE, workflow: sum }),
    await store.worker({ taskQueue: QUEUE, workflow: product }),
    await store.worker({ taskQueue: "other", workflow: { sum, named: product } }),
    await store.worker({ taskQueue: "other", workflow: { sum } }),
  ];
  const late = [await start("other", "named"), await start("other", "product")];
  expect(await Promise.all([...early, ...late].map((handle) => handle.result()))).toEqual([
    13, 42, 13, 42, 42,
  ]);
  const [first, ...others] = workers;
  for (const worker of others) await worker.shutdown();
  expect(await (await start(QUEUE, "product")).result()).toBe(42);
  await first?.shutdown();
  await first?.shutdown();
  expect(first?.status().state).toBe("stopped");
});

test("deployAndActivate makes the schema of a namespace, and twice is no harm", async () => {
  const { client, namespace, query } = await setup();
  await client.deployAndActivate(undefined, "5");
  await client.deployAndActivate(namespace);
  expect(
    await query("select 1 from pg_tables where schemaname = $1 and tablename = 'runs'", [namespace]),
  ).toHaveLength(1);
  const engine = await client.getHotMeshClient(null, namespace);
  expect(engine.schema).toBe(namespace);
  const handle = await client.workflow.start({ taskQueue: QUEUE, workflowName: "sum" });
  expect(handle.hotMesh).toBe(engine);
});
