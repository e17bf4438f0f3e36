/** Stores of a cluster: found by name, reached by their Secrets, and reached on while those change. */
import { newId, migrate } from "@memflow/engine";
import { grantStatements, newestVersion, quoteIdentifier, Session } from "@memflow/engine/provision";
import { testDatabaseUrl, testDatabaseUrlWith, testSource, uniqueName } from "@memflow/engine/testing";
import { STORES, TASK_QUEUES, WORKFLOWS } from "@memflow/operator/api";
import type { StoreObject } from "@memflow/operator/api";
import { KubeClient, SECRETS } from "@memflow/operator/kube";
import { MockApiServer } from "@memflow/operator/testing";
import { expect, onTestFinished, test } from "vitest";
import { UnavailableError } from "../auth/index.ts";
import { ClusterStores } from "./cluster-stores.ts";
import { StoreAmbiguousError, StoreNotFoundError } from "./index.ts";

const SHOP = "shop";

interface Bundle {
  readonly api: MockApiServer;
  readonly stores: ClusterStores;
  readonly admin: Session;
  readonly schema: string;
  readonly logged: { readonly message: string; readonly fields: Readonly<Record<string, unknown>> }[];
  /** Makes a Store object whose Secret has this connection string. */
  makeStore(name: string, uri: string, status?: object): void;
  changeUri(name: string, uri: string): void;
  /** A login role of the least rights. */
  makeRole(): Promise<{ readonly role: string; readonly uri: string }>;
}

async function setup(): Promise<Bundle> {
  const api = await MockApiServer.start({ types: [STORES, TASK_QUEUES, WORKFLOWS, SECRETS] });
  const client = new KubeClient({ kubeConfig: api.kubeConfig(), attemptTimeoutMs: 1_000, attemptMax: 1 });
  const logged: { message: string; fields: Readonly<Record<string, unknown>> }[] = [];
  const stores = new ClusterStores({
    client,
    namespaces: undefined,
    log: (_level, message, fields) => logged.push({ message, fields }),
    lookMs: 20,
  });
  const schema = uniqueName();
  const admin = new Session({ source: testSource(), purpose: "test" });
  const roles: string[] = [];
  onTestFinished(async () => {
    await stores.close();
    await client.close();
    await api.close();
    await admin.query({ text: `drop schema ${quoteIdentifier(schema)} cascade` });
    for (const role of roles) {
      await admin.query({ text: `drop owned by ${role}` });
      await admin.query({ text: `drop role ${role}` });
    }
    await admin.close();
  });
  await migrate({ source: testSource(), schema });
  const secretOf = (name: string, uid: string, uri: string): object => ({
    metadata: { name: `${name}-gateway`, namespace: SHOP, ownerReferences: [{ uid }] },
    data: { uri: Buffer.from(uri).toString("base64") },
  });
  return {
    api,
    stores,
    admin,
    schema,
    logged,
    makeStore(name, uri, status = {}) {
      const spec = { connection: { secretRef: { name: "database" }, tls: { mode: "disable" } }, schema };
      const made: StoreObject = api.cluster.create(STORES, {
        metadata: { name, namespace: SHOP },
        spec,
        status: {
          schemaVersion: String(newestVersion()).padStart(4, "0"),
          gatewaySecret: { name: `${name}-gateway` },
          conditions: [],
          ...status,
        },
      });
      api.cluster.create(SECRETS, secretOf(name, made.metadata?.uid ?? "", uri));
    },
    changeUri(name, uri) {
      const place = { namespace: SHOP, name: `${name}-gateway` };
      const secret = api.cluster.find(SECRETS, place);
      api.cluster.replace(SECRETS, { ...secret, data: { uri: Buffer.from(uri).toString("base64") } });
    },
    async makeRole() {
      const role = uniqueName("gw");
      roles.push(role);
      await admin.query({ text: `create role ${role} login password 'secret'` });
      const { rows } = await admin.query<{ owner: string }>({ text: "select current_user as owner" });
      for (const text of grantStatements({ schema, role, owner: rows[0]?.owner ?? "" })) {
        await admin.query({ text });
      }
      return { role, uri: testDatabaseUrlWith({ username: role, password: "secret" }) };
    },
  };
}

async function started(stores: ClusterStores): Promise<void> {
  stores.start();
  await Promise.all(stores.followed.map((one) => one.whenSynced()));
}

const start = (
  runId: string,
): Parameters<Awaited<ReturnType<ClusterStores["resolve"]>>["client"]["start"]>[0] => ({
  runId,
  workflowId: runId,
  workflowName: "work",
  taskQueue: "queue",
  input: "[]",
  options: null,
  delayMs: 0,
  retentionSeconds: null,
});

test("a Store is found by its name, or as the only one; several have to be named", async () => {
  const { stores, makeStore } = await setup();
  makeStore("main", testDatabaseUrl());
  await started(stores);
  const only = await stores.resolve(SHOP);
  expect([only.namespace, only.name]).toEqual([SHOP, "main"]);
  await expect(stores.resolve("elsewhere")).rejects.toBeInstanceOf(StoreNotFoundError);
  await expect(stores.resolve(SHOP, "other")).rejects.toBeInstanceOf(StoreNotFoundError);
  makeStore("second", testDatabaseUrl());
  await expect.poll(() => stores.resolve(SHOP, "second").then(({ name }) => name)).toBe("second");
  await expect(stores.resolve(SHOP)).rejects.toThrow(/"main", "second"/u);
  await expect(stores.resolve(SHOP)).rejects.toBeInstanceOf(StoreAmbiguousError);
  expect((await stores.list(SHOP)).map(({ name }) => name)).toEqual(["main", "second"]);
});

test("all calls go on through a rotation, those that wait too, and the role before loses its last connection", async () => {
  const { stores, makeStore, makeRole, changeUri, admin } = await setup();
  const [first, second] = [await makeRole(), await makeRole()];
  const connectionsOf = async (role: string): Promise<number> => {
    const text = "select count(*)::integer as count from pg_stat_activity where usename = $1";
    const { rows } = await admin.query<{ count: number }>({ text, values: [role] });
    return rows[0]?.count ?? -1;
  };
  makeStore("main", first.uri);
  await started(stores);
  const { client } = await stores.resolve(SHOP);
  const awaited = newId();
  await client.start(start(awaited));
  const outcome = client.outcome(awaited);

  let startedCount = 0;
  const over = new AbortController();
  const load = Promise.all(
    Array.from({ length: 4 }, async () => {
      while (!over.signal.aborted) {
        await client.start(start(newId()));
        startedCount += 1;
      }
    }),
  );
  await expect.poll(() => startedCount).toBeGreaterThan(10);
  changeUri("main", second.uri);
  await expect.poll(() => connectionsOf(second.role)).toBeGreaterThan(0);
  const countThen = startedCount;
  await expect.poll(() => startedCount).toBeGreaterThan(countThen + 10);
  over.abort();
  await load;

  expect(await connectionsOf(first.role)).toBeGreaterThan(0);
  await client.stop({
    runId: awaited,
    status: "terminated",
    failure: { name: "TerminatedError", message: "by the test", code: "TERMINATED" },
    descend: false,
  });
  expect((await outcome).status).toBe("terminated");
  await expect.poll(() => connectionsOf(first.role)).toBe(0);
  expect((await client.describe(awaited)).status).toBe("terminated");
});

test("new credentials that do not let in are not taken up; those before stay", async () => {
  const { stores, makeStore, makeRole, changeUri, logged } = await setup();
  const { role, uri } = await makeRole();
  makeStore("main", uri);
  await started(stores);
  const { client } = await stores.resolve(SHOP);
  changeUri("main", testDatabaseUrlWith({ username: role, password: "wrong-one" }));
  await expect.poll(() => logged.some(({ message }) => message.startsWith("new credentials"))).toBe(true);
  const runId = newId();
  expect(await client.start(start(runId))).toBe(runId);
  expect(JSON.stringify(logged)).not.toMatch(/wrong-one|secret@/u);
});

test("while the API server is away, an open Store is served on", async () => {
  const { api, stores, makeStore } = await setup();
  makeStore("main", testDatabaseUrl());
  await started(stores);
  await stores.resolve(SHOP);
  api.faults.inject({ kind: "refuse", status: 500 }, {}, Infinity);
  api.breakWatches("reset");
  const runId = newId();
  const { client } = await stores.resolve(SHOP);
  expect(await client.start(start(runId))).toBe(runId);
});

test.each([
  ["that the operator has not come to", { gatewaySecret: undefined }, /has not looked at it yet/u],
  ["of another schema version", { schemaVersion: "0001" }, /version 0001/u],
  ["whose Secret is not there", { gatewaySecret: { name: "none" } }, /"none" is not there/u],
])("a Store %s is not ready, and the answer says when to come again", async (_claim, status, message) => {
  const { stores, makeStore } = await setup();
  makeStore("main", testDatabaseUrl(), status);
  await started(stores);
  const error: unknown = await stores.resolve(SHOP).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(UnavailableError);
  expect((error as UnavailableError).message).toMatch(message);
  expect((error as UnavailableError).retryAfterSeconds).toBeGreaterThan(0);
  expect(await stores.list(SHOP)).toEqual([]);
});

test("a Secret of somebody else is never used, whatever a status names", async () => {
  const { api, stores, makeStore } = await setup();
  makeStore("main", testDatabaseUrl(), { gatewaySecret: { name: "foreign" } });
  api.cluster.create(SECRETS, {
    metadata: {
      name: "foreign",
      namespace: SHOP,
      ownerReferences: [{ apiVersion: "v1", kind: "Pod", name: "a", uid: "another" }],
    },
    data: { uri: Buffer.from(testDatabaseUrl()).toString("base64") },
  });
  await started(stores);
  await expect(stores.resolve(SHOP)).rejects.toThrow(/"foreign" is not this Store's/u);
});

test("before the cluster is known nothing is found and nothing is denied", async () => {
  const { stores } = await setup();
  await expect(stores.resolve(SHOP)).rejects.toBeInstanceOf(UnavailableError);
});

test("definitions are the manifests': of the Store's own queues, the older of two, and gone with their objects", async () => {
  const { api, stores, makeStore } = await setup();
  makeStore("main", testDatabaseUrl());
  makeStore("second", testDatabaseUrl());
  const queue = (name: string, store: string, queueName?: string): void =>
    void api.cluster.create(TASK_QUEUES, {
      metadata: { name, namespace: SHOP },
      spec: { storeRef: { name: store }, queueName, workers: { source: { code: {} } } },
      status: { scaling: { desired: 2 } },
    });
  const workflow = (name: string, taskQueue: string, spec: object = {}): void =>
    void api.cluster.create(WORKFLOWS, {
      metadata: { name, namespace: SHOP },
      spec: { taskQueueRef: { name: taskQueue }, ...spec },
    });
  queue("orders", "main", "orders-queue");
  queue("mails", "main");
  queue("others", "second");
  workflow("order", "orders", {
    workflowName: "placeOrder",
    suspend: true,
    timeouts: { execution: "1h" },
    retention: { failed: "2m" },
    defaultArgs: [1],
    input: { schema: { type: "object" } },
  });
  workflow("mail-order", "mails", { workflowName: "placeOrder" });
  workflow("elsewhere", "others");
  await started(stores);
  const entry = await stores.resolve(SHOP, "main");
  expect(entry.workflows().map(({ name }) => name)).toEqual(["mail-order", "order"]);
  expect(entry.workflowOf("placeOrder", "orders-queue")).toMatchObject({
    name: "order",
    suspended: true,
    timeouts: { executionMs: 3_600_000 },
    retention: { failedMs: 120_000 },
    defaultArgs: [1],
    inputSchema: { type: "object" },
  });
  expect(entry.workflowOf("placeOrder", "mails")?.name).toBe("mail-order");
  // Two Workflows define the type: of a run on a third queue nobody can say whose it is.
  expect(entry.workflowOf("placeOrder", "third")).toBeUndefined();
  expect(entry.workflowOf("placeOrder")).toBeUndefined();
  expect(entry.queues()).toEqual([
    { name: "mails", taskQueue: "mails", scaling: { desired: 2 } },
    { name: "orders", taskQueue: "orders-queue", scaling: { desired: 2 } },
  ]);
  api.cluster.delete(WORKFLOWS, { namespace: SHOP, name: "mail-order" });
  const nameNow = async (): Promise<string | undefined> =>
    (await stores.resolve(SHOP, "main")).workflowOf("placeOrder", "third")?.name;
  await expect.poll(nameNow).toBe("order");
});
