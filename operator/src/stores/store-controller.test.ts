/** What becomes of a Store, from its Secret to its roles, on a real Postgres. */
import { createServer, connect } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { once } from "node:events";
import {
  migrate,
  quoteIdentifier,
  readStoreSettings,
  resolveConnection,
  Session,
  setStoreSettings,
} from "@memflow/engine/provision";
import { API_VERSION } from "@memflow/crds";
import { expect, onTestFinished, test } from "vitest";
import { STORES, TASK_QUEUES } from "../api/index.ts";
import type { TaskQueueObject } from "../api/index.ts";
import { SECRETS } from "../kube/index.ts";
import {
  adminSession,
  conditionsText,
  databaseUrl,
  KEY,
  NAMESPACE,
  OperatedStore,
  reasonOf,
  STORE_NAME,
  uniqueName,
  USER_SECRET,
} from "./testing/operated-store.ts";

const READY = [
  "Ready=True/AllChecksPassed",
  "Connected=True/Reachable",
  "SchemaReady=True/UpToDate",
  "CredentialsValid=True/RolesReady",
  "Migrating=False/Idle",
  "PoolExhausted=False/WithinLimits",
];
const PASSWORD = "a password";
const RESYNC_MS = 30_000;

/** A role that may do what `rights` says, and is dropped with all that it owns. */
async function makeRole(
  rights: string,
  grants: readonly string[] = [],
): Promise<{ role: string; url: string }> {
  const admin = adminSession();
  const role = uniqueName("store_owner");
  await admin.query({ text: `create role ${role} login password '${PASSWORD}' ${rights}` });
  for (const text of grants) await admin.query({ text: text.replaceAll("ROLE", role) });
  onTestFinished(async () => {
    const session = new Session({ source: resolveConnection(databaseUrl()), purpose: "test" });
    await session.query({ text: `drop owned by ${role} cascade` });
    await session.query({ text: `drop role ${role}` });
    await session.close();
  });
  return { role, url: databaseUrl({ username: role, password: PASSWORD }) };
}

async function createOn(): Promise<string> {
  const { rows } = await adminSession().query<{ name: string }>({
    text: "select quote_ident(current_database()) as name",
  });
  return `grant create on database ${rows[0]?.name ?? ""} to ROLE`;
}

function messageOf(operated: OperatedStore, type: string): string {
  return operated.object.status?.conditions?.find((condition) => condition.type === type)?.message ?? "";
}

function sessionTo(uri: string): Session {
  const session = new Session({ source: resolveConnection(uri), purpose: "test" });
  onTestFinished(() => session.close());
  return session;
}

async function outcomeOf(uri: string): Promise<unknown> {
  const session = new Session({ source: resolveConnection(uri), purpose: "test" });
  try {
    const { rows } = await session.query<{ role: string }>({ text: "select current_user::text as role" });
    return rows[0]?.role;
  } catch (error) {
    return (error as { readonly code?: unknown }).code;
  } finally {
    await session.close();
  }
}

test("from a Secret alone a Store gets schema, roles and credentials, and others reach it", async () => {
  const operated = await OperatedStore.start();
  const status = await operated.settle();
  expect(conditionsText(status)).toEqual(READY);
  expect(status).toMatchObject({
    schemaVersion: status.targetVersion,
    pooler: "None",
    credentialsHash: expect.stringMatching(/^[0-9a-f]{32}$/u) as string,
    workerSecret: { name: "main-worker" },
    gatewaySecret: { name: "main-gateway" },
  });
  expect(operated.events).toEqual([
    "MigrationStarted",
    "Connected",
    "SchemaCreated",
    "Migrated",
    "RolesCreated",
    "RolesCreated",
  ]);
  const answer = await operated.connections.find(KEY)?.session.query({ text: "select 1 as one" });
  expect(answer?.rows).toEqual([{ one: 1 }]);
});

test("the workers' role writes runs, changes no migration and makes nothing", async () => {
  const operated = await OperatedStore.start();
  await operated.settle();
  const session = sessionTo(operated.readSecret("main-worker")?.["uri"] ?? "");
  const { schema } = operated;
  await session.query({ text: `delete from ${schema}.runs` });
  for (const text of [`delete from ${schema}.schema_migrations`, `create table ${schema}.mine ()`]) {
    await expect(session.query({ text })).rejects.toMatchObject({ code: "42501" });
  }
});

test("the database has the Store's retention, and has it again when somebody wrote another", async () => {
  const operated = await OperatedStore.start({ spec: { retention: { completed: "1h", failed: "90s" } } });
  const written = async (): Promise<unknown> => {
    await operated.settle();
    return readStoreSettings(operated.admin, operated.schema);
  };
  expect(await written()).toEqual({ completedSeconds: 3_600, failedSeconds: 90 });
  operated.change({ spec: { retention: { completed: "2h", failed: "90s" } } });
  expect(await written()).toEqual({ completedSeconds: 7_200, failedSeconds: 90 });
  await operated.admin.query({ text: `update ${operated.schema}.store_settings set failed_seconds = 1` });
  operated.clock.advance(30_000);
  expect(await written()).toEqual({ completedSeconds: 7_200, failedSeconds: 90 });
});

test("a leader of the past writes no settings", async () => {
  const operated = await OperatedStore.start();
  await operated.settle();
  const later = { completedSeconds: 1, failedSeconds: 2, fence: 2 };
  await setStoreSettings(operated.admin, operated.schema, later);
  operated.clock.advance(30_000);
  await expect(operated.reconcile()).rejects.toMatchObject({ code: "LEADER_FOLLOWED" });
  expect(await readStoreSettings(operated.admin, operated.schema)).toEqual({
    completedSeconds: 1,
    failedSeconds: 2,
  });
});

test("the first look of a new leader keeps the one before from writing settings, even if it writes none", async () => {
  const operated = await OperatedStore.start();
  await operated.settle();
  operated.fencingToken = 2;
  await operated.reconcile();
  const late = { completedSeconds: 1, failedSeconds: 2, fence: 1 };
  await expect(setStoreSettings(operated.admin, operated.schema, late)).rejects.toMatchObject({
    code: "LEADER_FOLLOWED",
  });
});

test("a status is not written because time went by, nor a Secret read again and again", async () => {
  const operated = await OperatedStore.start();
  await operated.settle();
  const { resourceVersion } = operated.object.metadata ?? {};
  const before = operated.api.requests.length;
  for (let count = 0; count < 5; count += 1) {
    operated.clock.advance(5_000);
    await operated.reconcile();
  }
  expect(operated.object.metadata?.resourceVersion).toBe(resourceVersion);
  expect(operated.api.requests.slice(before).filter(({ verb }) => verb !== "watch")).toEqual([]);
});

test("another process finds all as it is and changes nothing", async () => {
  const operated = await OperatedStore.start();
  const before = await operated.settle();
  const secret = operated.readSecret("main-worker");
  await operated.restart();
  const after = await operated.settle();
  expect(after).toEqual(before);
  expect(operated.readSecret("main-worker")).toEqual(secret);
  expect(operated.connections.find(KEY)).toBeDefined();
});

test("without its Secret a Store waits, and goes on once it is there", async () => {
  const operated = await OperatedStore.start({
    spec: { connection: { secretRef: { name: "later" }, tls: { mode: "disable" } } },
  });
  const status = await operated.settle();
  expect(reasonOf(status, "Connected")).toBe("SecretNotFound");
  expect(messageOf(operated, "Connected")).toContain('"later"');
  operated.writeSecret("later", { uri: "no connection string" });
  expect(reasonOf(await operated.settle(), "Connected")).toBe("SecretInvalid");
  operated.writeSecret("later", { uri: databaseUrl() });
  expect(conditionsText(await operated.settle())).toEqual(READY);
});

test("where Secrets may not be followed, a change is seen after the resync", async () => {
  const operated = await OperatedStore.start({ followsSecrets: false });
  await operated.settle();
  operated.writeSecret(USER_SECRET, { uri: "no connection string" });
  expect(reasonOf(await operated.settle(), "Connected")).toBe("Reachable");
  operated.clock.advance(RESYNC_MS);
  expect(reasonOf(await operated.settle(), "Connected")).toBe("SecretInvalid");
});

test("a wrong password is told and not used, and takes nothing from others; the right one heals it", async () => {
  const operated = await OperatedStore.start();
  const before = await operated.settle();
  const shared = operated.connections.find(KEY);
  operated.writeSecret(USER_SECRET, { uri: databaseUrl({ password: "wrong" }) });
  const status = await operated.settle();
  expect(conditionsText(status)).toEqual(
    expect.arrayContaining(["Connected=False/Unreachable", "CredentialsValid=False/LoginFailed"]),
  );
  expect(status.credentialsHash).toBe(before.credentialsHash);
  expect(operated.connections.find(KEY)).toBe(shared);
  const answer = await shared?.session.query({ text: "select 1 as one" });
  expect(answer?.rows).toEqual([{ one: 1 }]);
  operated.writeSecret(USER_SECRET, { uri: databaseUrl() });
  expect(conditionsText(await operated.settle())).toEqual(READY);
  expect(operated.events.slice(-2)).toEqual(["ConnectionLost", "Connected"]);
});

test("another user of the operator's own gives new connections, and the workers' credentials stay", async () => {
  const operated = await OperatedStore.start();
  const before = await operated.settle();
  const shared = operated.connections.find(KEY);
  const { url } = await makeRole("superuser");
  operated.writeSecret(USER_SECRET, { uri: url });
  const after = await operated.settle();
  expect(operated.connections.find(KEY)).not.toBe(shared);
  expect(after.credentialsHash).toBe(before.credentialsHash);
  expect(conditionsText(after)).toEqual(READY);
});

test("a server without TLS is not trusted where TLS is asked for", async () => {
  const operated = await OperatedStore.start({ spec: { connection: { secretRef: { name: USER_SECRET } } } });
  expect(reasonOf(await operated.settle(), "Connected")).toBe("TLSFailed");
});

test("a role whose transactions are read-only is told so", async () => {
  const { url } = await makeRole("", ["alter role ROLE set default_transaction_read_only = on"]);
  const operated = await OperatedStore.start({ url });
  expect(reasonOf(await operated.settle(), "Connected")).toBe("ReadOnly");
});

/** Stands between operator and Postgres, and can be shut. */
async function startGate(): Promise<{ url: string; shut(): void; open(): void }> {
  const target = new URL(databaseUrl());
  const sockets = new Set<Socket>();
  let isOpen = true;
  const server = createServer((socket) => {
    if (!isOpen) {
      socket.destroy();
      return;
    }
    const upstream = connect(Number(target.port), target.hostname);
    for (const end of [socket, upstream]) {
      sockets.add(end);
      end.on("error", () => undefined);
      end.on("close", () => {
        sockets.delete(end);
        socket.destroy();
        upstream.destroy();
      });
    }
    socket.pipe(upstream).pipe(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    url: databaseUrl({ host: `127.0.0.1:${(server.address() as AddressInfo).port}` }),
    shut: () => {
      isOpen = false;
      for (const socket of sockets) socket.destroy();
    },
    open: () => void (isOpen = true),
  };
}

test("an outage is told with the next look, and so is its end; what the Store said before stays", async () => {
  const gate = await startGate();
  const operated = await OperatedStore.start({ url: gate.url });
  const before = await operated.settle();
  gate.shut();
  const away = await operated.settle();
  expect(conditionsText(away)).toEqual([
    "Ready=False/NotConnected",
    "Connected=False/Unreachable",
    "SchemaReady=Unknown/NotConnected",
    "CredentialsValid=Unknown/NotConnected",
    "Migrating=False/Idle",
    "PoolExhausted=False/WithinLimits",
  ]);
  const { credentialsHash, schemaVersion, workerSecret } = before;
  expect(away).toMatchObject({ credentialsHash, schemaVersion, workerSecret });
  expect(operated.connections.find(KEY)).toBeDefined();
  gate.open();
  expect(conditionsText(await operated.settle())).toEqual(READY);
  expect(operated.events.slice(-2)).toEqual(["ConnectionLost", "Connected"]);
});

test("a connection that the server ended is opened again, and nothing is told", async () => {
  const operated = await OperatedStore.start();
  await operated.settle();
  const { resourceVersion } = operated.object.metadata ?? {};
  const count = operated.events.length;
  await operated.admin.query({
    text: `select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = 'memflow:store' and query like '%' || $1::text || '%'`,
    values: [operated.schema],
  });
  await operated.settle();
  expect(operated.object.metadata?.resourceVersion).toBe(resourceVersion);
  expect(operated.events.length).toBe(count);
});

test("an operator that may not make roles says what an administrator runs, and goes on after it", async () => {
  const { role, url } = await makeRole("", [await createOn()]);
  const operated = await OperatedStore.start({ url });
  const denied = await operated.settle();
  expect(reasonOf(denied, "CredentialsValid")).toBe("PermissionDenied");
  const [, sql] = /an administrator runs: (.*?;)/u.exec(messageOf(operated, "CredentialsValid")) ?? [];
  expect(sql).toBe(`alter role "${role}" createrole;`);
  await operated.admin.query({ text: sql ?? "" });
  operated.clock.advance(RESYNC_MS);
  expect(conditionsText(await operated.settle())).toEqual(READY);
});

test("a role that is no superuser, with CREATE and CREATEROLE, is all that the operator needs", async () => {
  const { url } = await makeRole("createrole", [await createOn()]);
  const operated = await OperatedStore.start({ url });
  expect(conditionsText(await operated.settle())).toEqual(READY);
  operated.change({ annotations: { "memflow.io/rotate-credentials": "1" } });
  expect(reasonOf(await operated.settle(), "CredentialsValid")).toBe("Rotating");
});

test("an operator that may not create the schema says what an administrator runs", async () => {
  const { url } = await makeRole("createrole");
  const operated = await OperatedStore.start({ url });
  expect(reasonOf(await operated.settle(), "SchemaReady")).toBe("PermissionDenied");
  expect(messageOf(operated, "SchemaReady")).toContain(`create schema "${operated.schema}"`);
});

test("an operator whose role may not use the schema says what an administrator runs, and goes on after it", async () => {
  const { url } = await makeRole("createrole", [await createOn()]);
  const operated = await OperatedStore.start({ url });
  await migrate({ source: resolveConnection(databaseUrl()), schema: operated.schema });
  const denied = await operated.settle();
  expect(reasonOf(denied, "SchemaReady")).toBe("PermissionDenied");
  expect(reasonOf(denied, "Ready")).toBe("SchemaNotReady");
  expect(operated.connections.find(KEY)).toBeUndefined();
  const [, sql = ""] = /an administrator runs: (.*?;) or/u.exec(messageOf(operated, "SchemaReady")) ?? [];
  await operated.admin.query({ text: sql });
  operated.clock.advance(RESYNC_MS);
  expect(conditionsText(await operated.settle())).toEqual(READY);
});

test("rights that are taken away are told, and the version that was known stays", async () => {
  const { role, url } = await makeRole("createrole", [await createOn()]);
  const operated = await OperatedStore.start({ url });
  const { schemaVersion } = await operated.settle();
  const name = quoteIdentifier(operated.schema);
  await operated.admin.query({ text: `revoke all on all tables in schema ${name} from ${role}` });
  operated.clock.advance(RESYNC_MS);
  const denied = await operated.settle();
  expect(reasonOf(denied, "SchemaReady")).toBe("PermissionDenied");
  expect(denied.schemaVersion).toBe(schemaVersion);
  const [, sql = ""] = /an administrator runs: (.*?;) or/u.exec(messageOf(operated, "SchemaReady")) ?? [];
  for (const text of sql.split(";").filter((part) => part.trim() !== "")) {
    await operated.admin.query({ text });
  }
  operated.clock.advance(RESYNC_MS);
  expect(conditionsText(await operated.settle())).toEqual(READY);
});

test("settings that may not be written are told, not tried for ever", async () => {
  const { role, url } = await makeRole("createrole", [await createOn()]);
  const operated = await OperatedStore.start({ url });
  await operated.settle();
  const table = `${quoteIdentifier(operated.schema)}.store_settings`;
  await operated.admin.query({ text: `revoke update on ${table} from ${role}` });
  operated.change({ spec: { retention: { completed: "2h" } } });
  expect(reasonOf(await operated.settle(), "SchemaReady")).toBe("PermissionDenied");
});

test("mode Manual migrates the version that was approved", async () => {
  const operated = await OperatedStore.start({ spec: { migrations: { mode: "Manual" } } });
  const status = await operated.settle();
  expect(reasonOf(status, "SchemaReady")).toBe("MigrationPending");
  expect(operated.connections.find(KEY)).toBeUndefined();
  operated.change({ annotations: { "memflow.io/approve-migration": status.targetVersion ?? "" } });
  expect(conditionsText(await operated.settle())).toEqual(READY);
});

test("mode Verify only reports, until the schema is right", async () => {
  const operated = await OperatedStore.start({ spec: { migrations: { mode: "Verify" } } });
  expect(reasonOf(await operated.settle(), "SchemaReady")).toBe("SchemaMissing");
  const source = resolveConnection(databaseUrl());
  await migrate({ source, schema: operated.schema, targetVersion: 1 });
  expect(reasonOf(await operated.settle(), "SchemaReady")).toBe("VersionMismatch");
  await migrate({ source, schema: operated.schema });
  operated.clock.advance(RESYNC_MS);
  expect(conditionsText(await operated.settle())).toEqual(READY);
});

test("without createSchema the schema is somebody else's to make", async () => {
  const operated = await OperatedStore.start({ spec: { provisioning: { createSchema: false } } });
  expect(reasonOf(await operated.settle(), "SchemaReady")).toBe("SchemaMissing");
  await operated.admin.query({ text: `create schema ${operated.schema}` });
  expect(conditionsText(await operated.settle())).toEqual(READY);
});

test("a migration that fails is tried again later, so often as backoffLimit says, and then after a change", async () => {
  const operated = await OperatedStore.start({ spec: { migrations: { backoffLimit: 1 } } });
  await operated.admin.query({ text: `create schema ${operated.schema}` });
  await operated.admin.query({ text: `create table ${operated.schema}.runs ()` });
  expect(reasonOf(await operated.settle(), "SchemaReady")).toBe("MigrationFailed");
  const startCount = (): number => operated.events.filter((reason) => reason === "MigrationStarted").length;
  expect(startCount()).toBe(1);
  operated.clock.advance(600_000);
  expect(reasonOf(await operated.settle(), "SchemaReady")).toBe("MigrationFailed");
  operated.clock.advance(600_000);
  await operated.settle();
  expect(startCount()).toBe(2);
  expect(operated.events.filter((reason) => reason === "MigrationFailed")).toHaveLength(2);
  await operated.admin.query({ text: `drop table ${operated.schema}.runs` });
  operated.change({ spec: { migrations: { backoffLimit: 2 } } });
  expect(conditionsText(await operated.settle())).toEqual(READY);
});

test("a schema of a newer MemFlow is left alone", async () => {
  const operated = await OperatedStore.start();
  await operated.settle();
  await operated.admin.query({
    text: `insert into ${operated.schema}.schema_migrations (name, run_on) values ('9999_future', now())`,
  });
  operated.clock.advance(RESYNC_MS);
  expect(reasonOf(await operated.settle(), "SchemaReady")).toBe("SchemaTooNew");
  expect(operated.connections.find(KEY)).toBeUndefined();
});

test("who does not lead any more begins no migration", async () => {
  const operated = await OperatedStore.start();
  operated.leads = false;
  await expect(operated.reconcile()).rejects.toMatchObject({ code: "LEADERSHIP_LOST" });
  const { rows } = await operated.admin.query({
    text: "select 1 from pg_namespace where nspname = $1",
    values: [operated.schema],
  });
  expect(rows).toEqual([]);
});

test("two operators at once come to one schema and credentials that work", async () => {
  const operated = await OperatedStore.start();
  await operated.settleWithRival();
  expect(conditionsText(await operated.settle()).slice(0, 3)).toEqual(READY.slice(0, 3));
  expect(await outcomeOf(operated.readSecret("main-worker")?.["uri"] ?? "")).toMatch(/_worker_[ab]$/u);
  expect(await outcomeOf(operated.readSecret("main-gateway")?.["uri"] ?? "")).toMatch(/_gateway_[ab]$/u);
});

test("given roles get their rights and are handed on; what is wrong with them is told", async () => {
  const { role, url } = await makeRole("");
  const provisioning = { roles: "Given", workerSecretRef: { name: "given" } };
  const operated = await OperatedStore.start({ spec: { provisioning } });
  expect(reasonOf(await operated.settle(), "CredentialsValid")).toBe("SecretNotFound");
  operated.writeSecret("given", { uri: url.replace(encodeURIComponent(PASSWORD), "wrong") });
  expect(reasonOf(await operated.settle(), "CredentialsValid")).toBe("LoginFailed");
  operated.writeSecret("given", { uri: url });
  expect(conditionsText(await operated.settle())).toEqual(READY);
  const session = sessionTo(operated.readSecret("main-worker")?.["uri"] ?? "");
  await session.query({ text: `delete from ${operated.schema}.runs` });
  expect(await outcomeOf(operated.readSecret("main-gateway")?.["uri"] ?? "")).toBe(role);
  expect(await operated.roles()).toEqual([]);
});

test("a shared role is handed on with a warning, and new credentials of it are the workers' too", async () => {
  const operated = await OperatedStore.start({ spec: { provisioning: { roles: "Shared" } } });
  const before = await operated.settle();
  expect(conditionsText(before)).toContain("CredentialsValid=True/SharedRole");
  expect(await operated.roles()).toEqual([]);
  const { role, url } = await makeRole("superuser");
  operated.writeSecret(USER_SECRET, { uri: url });
  const after = await operated.settle();
  expect(after.credentialsHash).not.toBe(before.credentialsHash);
  expect(await outcomeOf(operated.readSecret("main-worker")?.["uri"] ?? "")).toBe(role);
});

test("a Secret of somebody else under the operator's name is not touched", async () => {
  const operated = await OperatedStore.start();
  operated.writeSecret("main-worker", { uri: "mine" });
  const status = await operated.settle();
  expect(conditionsText(status)).toContain("CredentialsValid=False/SecretNotFound");
  expect(operated.readSecret("main-worker")).toEqual({ uri: "mine" });
  operated.api.cluster.delete(SECRETS, { namespace: NAMESPACE, name: "main-worker" });
  expect(conditionsText(await operated.settle())).toEqual(READY);
});

function addQueue(operated: OperatedStore, maxReplicas: number): void {
  operated.api.cluster.create<TaskQueueObject>(TASK_QUEUES, {
    apiVersion: API_VERSION,
    kind: "TaskQueue",
    metadata: { namespace: NAMESPACE, name: "orders" },
    spec: {
      storeRef: { name: STORE_NAME },
      scaling: { maxReplicas },
      workers: { source: { image: { ref: "orders:1" } } },
    },
  });
}

test("queues that may open more connections than there are make a warning", async () => {
  const operated = await OperatedStore.start();
  await operated.settle();
  addQueue(operated, 1_000);
  expect(reasonOf(await operated.settle(), "PoolExhausted")).toBe("OverMaxTotal");
  expect(operated.events.at(-1)).toBe("PoolLimitExceeded");
  operated.change({ spec: { pool: { maxPerWorker: 50, maxTotal: 10_000 } } });
  expect(reasonOf(await operated.settle(), "PoolExhausted")).toBe("OverServerLimit");
});

async function hasSchema({ admin, schema }: OperatedStore): Promise<boolean> {
  const { rows } = await admin.query({
    text: "select 1 from pg_namespace where nspname = $1",
    values: [schema],
  });
  return rows.length > 0;
}

function deleteStore(operated: OperatedStore): void {
  operated.api.cluster.delete(STORES, { namespace: NAMESPACE, name: STORE_NAME });
}

test("a deleted Store leaves its schema, says so, and is gone at once", async () => {
  const operated = await OperatedStore.start();
  await operated.settle();
  await operated.roles();
  deleteStore(operated);
  expect(operated.isThere).toBe(false);
  await operated.reconcile();
  expect(operated.events.at(-1)).toBe("SchemaRetained");
  expect(operated.connections.find(KEY)).toBeUndefined();
  expect(await hasSchema(operated)).toBe(true);
});

test("the finalizer comes and goes with the policy", async () => {
  const operated = await OperatedStore.start({ spec: { deletionPolicy: "DropSchema" } });
  await operated.settle();
  expect(operated.object.metadata?.finalizers).toEqual(["memflow.io/drop-schema"]);
  operated.change({ spec: { deletionPolicy: "Retain" } });
  await operated.settle();
  expect(operated.object.metadata?.finalizers ?? []).toEqual([]);
});

test("with DropSchema schema and roles go with the Store, once no queue uses it", async () => {
  const operated = await OperatedStore.start({ spec: { deletionPolicy: "DropSchema" } });
  await operated.settle();
  expect(await operated.roles()).toHaveLength(2);
  addQueue(operated, 1);
  deleteStore(operated);
  await operated.reconcile();
  expect(reasonOf(operated.object.status, "Ready")).toBe("Deleting");
  expect(messageOf(operated, "Ready")).toContain("orders");
  expect(operated.connections.find(KEY)).toBeDefined();
  operated.api.cluster.delete(TASK_QUEUES, { namespace: NAMESPACE, name: "orders" });
  const schemas: Promise<boolean>[] = [];
  operated.connections.onChange(() => void schemas.push(hasSchema(operated)));
  await operated.reconcile();
  expect(await Promise.all(schemas)).toEqual([true]);
  expect(operated.connections.find(KEY)).toBeUndefined();
  expect(operated.isThere).toBe(false);
  expect(operated.events.at(-1)).toBe("SchemaDropped");
  expect(await hasSchema(operated)).toBe(false);
  expect(await operated.roles()).toEqual([]);
});

test("a database that is away holds a deletion for a minute, then the schema stays", async () => {
  const gate = await startGate();
  const operated = await OperatedStore.start({ url: gate.url, spec: { deletionPolicy: "DropSchema" } });
  await operated.settle();
  await operated.roles();
  gate.shut();
  deleteStore(operated);
  operated.alignClock();
  await operated.reconcile();
  expect(operated.isThere).toBe(true);
  operated.clock.advance(61_000);
  await operated.reconcile();
  expect(operated.isThere).toBe(false);
  const [, last] = operated.happenings.slice(-2);
  expect(last).toMatchObject({
    reason: "SchemaRetained",
    note: expect.stringContaining(`drop schema "${operated.schema}" cascade;`) as string,
  });
});

test("a deletion that waits for the database says why and what helps, once, and goes on when it is back", async () => {
  const gate = await startGate();
  const operated = await OperatedStore.start({ url: gate.url, spec: { deletionPolicy: "DropSchema" } });
  await operated.settle();
  await operated.roles();
  gate.shut();
  deleteStore(operated);
  operated.alignClock();
  for (let count = 0; count < 2; count++) await operated.reconcile();
  expect(reasonOf(operated.object.status, "Ready")).toBe("Deleting");
  const message = messageOf(operated, "Ready");
  expect(message).toContain(`schema "${operated.schema}" can't be dropped`);
  expect(message).toContain("set deletionPolicy to Retain");
  const blocked = operated.happenings.filter(({ reason }) => reason === "DeletionBlocked");
  expect(blocked).toMatchObject([{ type: "Warning", note: message }]);
  gate.open();
  await operated.reconcile();
  expect(operated.isThere).toBe(false);
  expect(operated.events.at(-1)).toBe("SchemaDropped");
  expect(await hasSchema(operated)).toBe(false);
});

test("a deletion whose role may not drop the schema says what an administrator runs, and goes on after it", async () => {
  const { role, url } = await makeRole("createrole", [await createOn()]);
  const operated = await OperatedStore.start({ url, spec: { deletionPolicy: "DropSchema" } });
  await operated.settle();
  await operated.roles();
  const name = quoteIdentifier(operated.schema);
  await operated.admin.query({ text: `alter schema ${name} owner to current_user` });
  deleteStore(operated);
  operated.alignClock();
  await operated.reconcile();
  expect(operated.isThere).toBe(true);
  const [, sql = ""] = /an administrator runs: (.*?;) or/u.exec(messageOf(operated, "Ready")) ?? [];
  expect(sql).toContain(` to "${role}"`);
  await operated.admin.query({ text: sql });
  await operated.reconcile();
  expect(operated.isThere).toBe(false);
  expect(operated.events.at(-1)).toBe("SchemaDropped");
});

test("queues that never go hold a deletion for a quarter of an hour, then the schema stays", async () => {
  const operated = await OperatedStore.start({ spec: { deletionPolicy: "DropSchema" } });
  await operated.settle();
  await operated.roles();
  addQueue(operated, 1);
  deleteStore(operated);
  operated.alignClock();
  operated.clock.advance(901_000);
  await operated.reconcile();
  expect(operated.isThere).toBe(false);
  expect(await hasSchema(operated)).toBe(true);
});

test("a schema that holds no store is never dropped", async () => {
  const operated = await OperatedStore.start({
    spec: { deletionPolicy: "DropSchema", migrations: { mode: "Verify" } },
  });
  await operated.admin.query({ text: `create schema ${quoteIdentifier(operated.schema)}` });
  await operated.settle();
  await operated.roles();
  deleteStore(operated);
  await operated.reconcile();
  expect(operated.isThere).toBe(false);
  expect(operated.events.at(-1)).toBe("SchemaRetained");
  expect(await hasSchema(operated)).toBe(true);
});
