/**
 * A worker with fewer connections than it would like opens no more than it may, and does all its work over them.
 */
import { migrate, resolveConnection } from "@memflow/engine";
import { Client, MemFlow, OptionError, Worker } from "@memflow/sdk";
import { expect, onTestFinished, test } from "vitest";
import { FAST, setup } from "./setup.ts";
import type { TestStore } from "./setup.ts";

const QUEUE = "bound";
const POOL = "bound-pool";
const RUNS = 20;

const { double } = MemFlow.workflow.proxyActivities<{ double(value: number): number }>({
  activities: { double: (value: number) => value * 2 },
});
const { triple } = MemFlow.workflow.proxyActivities<{ triple(value: number): number }>({ taskQueue: POOL });

/** Local and queued attempts, a child and a signal: something of all that has a connection of its own. */
async function work(value: number): Promise<number> {
  const told = MemFlow.workflow.waitFor<number>("go");
  const child = await MemFlow.workflow.execChild<number>({
    taskQueue: QUEUE,
    workflowName: "leaf",
    args: [await double(value)],
  });
  return (await triple(child)) + (await told);
}

async function leaf(value: number): Promise<number> {
  return await double(value);
}

/** A role that the worker alone has, so that its connections can be counted. */
async function roleOf(store: TestStore): Promise<{ readonly role: string; readonly url: string }> {
  const role = `worker_of_${store.namespace}`;
  await migrate({ source: resolveConnection(store.url), schema: store.namespace });
  await store.query(`create role ${role} login password 'a password'`);
  await store.query(`grant usage on schema ${store.namespace} to ${role}`);
  await store.query(`grant all on all tables in schema ${store.namespace} to ${role}`);
  onTestFinished(async () => {
    await MemFlow.shutdown({ graceMs: 0 });
    await store.query(`drop owned by ${role}`);
    await store.query(`drop role ${role}`);
  });
  return { role, url: Object.assign(new URL(store.url), { username: role, password: "a password" }).href };
}

test.each([
  [4, ["claim", "control", "heartbeat", "listen"]],
  [5, ["claim", "control", "flush", "heartbeat", "listen"]],
  [6, ["claim", "control", "flush", "heartbeat", "listen", "settle"]],
  [50, ["claim", "control", "flush", "flush", "heartbeat", "listen", "notify", "settle"]],
])("with %s connections", async (maxConnections, expected) => {
  const store = await setup();
  const { role, url: connection } = await roleOf(store);
  const common = { connection, namespace: store.namespace, options: { ...FAST, maxConnections } };
  await MemFlow.registerActivityWorker(common, { triple: (value: number) => value * 3 }, POOL);
  await Worker.create({ ...common, taskQueue: QUEUE, workflow: { work, leaf } });
  const client = new Client({ connection: store.url, namespace: store.namespace });
  const handles = await Promise.all(
    Array.from({ length: RUNS }, (_, index) =>
      client.workflow.start({ taskQueue: QUEUE, workflowName: "work", args: [index] }),
    ),
  );
  for (const handle of handles) await handle.signal("go", 1);
  const results = await Promise.all(handles.map((handle) => handle.result()));
  expect(results).toEqual(handles.map((_, index) => index * 12 + 1));
  const open = await store.query<{ application_name: string }>(
    "select application_name from pg_stat_activity where usename = $1 order by 1",
    [role],
  );
  expect(open.map(({ application_name: name }) => name.replace("memflow:", ""))).toEqual(expected);
});

test("a bound that nothing can work with is refused by name, before anything is connected", async () => {
  const store = await setup();
  const worker = store.worker({ taskQueue: QUEUE, workflow: { leaf }, options: { maxConnections: 3 } });
  await expect(worker).rejects.toBeInstanceOf(OptionError);
  await expect(worker).rejects.toMatchObject({ field: "maxConnections" });
});
