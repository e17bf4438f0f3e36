/**
 * The grants of docs/operations.md, executed as they stand there: with them a worker and a client do all their work, and
 * may do no more.
 */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { migrate, resolveConnection } from "@memflow/engine";
import { Client, Entity, MemFlow, MemFlowError, Worker } from "@memflow/sdk";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";

const SUFFIX = randomBytes(6).toString("hex");
const NAMES: Readonly<Record<string, string>> = {
  memflow_owner: `owner_${SUFFIX}`,
  memflow_worker: `worker_${SUFFIX}`,
};
const SCHEMA = `granted_${SUFFIX}`;
const OTHER_SCHEMA = `other_${SUFFIX}`;
const PASSWORD = "a password";

const admin = new pg.Client({ connectionString: process.env["MEMFLOW_TEST_DATABASE_URL"] });

beforeAll(async () => {
  await admin.connect();
  const [roles = "", grants = ""] = await statements();
  await admin.query(roles);
  await migrate({ source: resolveConnection(urlOf("memflow_owner")), schema: SCHEMA });
  await admin.query(grants);
  await migrate({
    source: resolveConnection(process.env["MEMFLOW_TEST_DATABASE_URL"] ?? ""),
    schema: OTHER_SCHEMA,
  });
});

afterAll(async () => {
  await MemFlow.shutdown({ graceMs: 0 });
  for (const role of Object.values(NAMES))
    await admin.query(`drop owned by ${role} cascade; drop role ${role}`);
  await admin.query(`drop schema if exists ${OTHER_SCHEMA} cascade`);
  await admin.end();
});

/** The SQL of the section on grants, under names of this test's own. */
async function statements(): Promise<string[]> {
  const page = readFileSync(new URL("../docs/operations.md", import.meta.url), "utf8");
  const [, section = ""] = /^### Roles and grants$(.*?)^### /msu.exec(page) ?? [];
  const { rows } = await admin.query<{ name: string }>("select quote_ident(current_database()) as name");
  const renamed = Object.entries({
    ...NAMES,
    "database app": `database ${rows[0]?.name}`,
    "'...'": `'${PASSWORD}'`,
  });
  return [...section.matchAll(/^```sql\n(.*?)^```/gmsu)].map(([, sql = ""]) => {
    const ours = sql.replaceAll(/\bmemflow\b/gu, SCHEMA);
    return renamed.reduce((text, [from, to]) => text.replaceAll(from, to), ours);
  });
}

function urlOf(role: string): string {
  const username = NAMES[role] ?? "";
  return Object.assign(new URL(process.env["MEMFLOW_TEST_DATABASE_URL"] ?? ""), {
    username,
    password: PASSWORD,
  }).href;
}

const activities = MemFlow.workflow.proxyActivities<{ double(value: number): Promise<number> }>({
  activities: { double: (value: number) => Promise.resolve(2 * value) },
});

/** Uses everything that writes somewhere else. */
async function everything(): Promise<unknown> {
  const memory = await MemFlow.workflow.entity();
  await memory.set({ done: false });
  const search = await MemFlow.workflow.search();
  await search.incr("visits", 1);
  await MemFlow.workflow.sleepFor(1);
  const answer = await MemFlow.workflow.execHook({ taskQueue: "granted", workflowName: "answer", args: [] });
  const child = await MemFlow.workflow.execChild({
    taskQueue: "granted",
    workflowName: "leaf",
    args: [21],
    entity: "leaf",
    search: { data: { kind: "leaf" } },
    expire: 0,
  });
  await MemFlow.workflow.signal("nobody waits", 1);
  return { answer, child, memory: await memory.merge({ done: true }) };
}

async function answer(reply: { readonly signal: string }): Promise<void> {
  await MemFlow.workflow.signal(reply.signal, "here");
}

async function leaf(value: number): Promise<number> {
  return await activities.double(value);
}

test("the worker's role executes, reads and removes runs", async () => {
  const connection = urlOf("memflow_worker");
  await Worker.create({
    connection,
    namespace: SCHEMA,
    taskQueue: "granted",
    workflow: { everything, answer, leaf },
    options: { pruneMs: 50, sweepMs: 50 },
  });
  const client = new Client({ connection, namespace: SCHEMA });
  const handle = await client.workflow.start({
    taskQueue: "granted",
    workflowName: "everything",
    args: [],
    entity: "everything",
    search: { data: { visits: 1 } },
    expire: 1,
  });
  expect(await Entity.find("everything", {}, client)).toHaveLength(1);
  expect(await handle.result()).toEqual({ answer: "here", child: 42, memory: { done: true } });
  await expect
    .poll(async () => (await client.workflow.list()).length, { timeout: 30_000, interval: 50 })
    .toBe(0);
});

test("the owner's role makes the indexes of searches", async () => {
  const makeAs = (role: string): Promise<string> =>
    Entity.createIndex("everything", "done", new Client({ connection: urlOf(role), namespace: SCHEMA }));
  await expect(makeAs("memflow_worker")).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
  const name = await makeAs("memflow_owner");
  expect(await makeAs("memflow_worker")).toBe(name);
});

test("the worker's role makes nothing and changes no migration", async () => {
  const postgres = new pg.Client({ connectionString: urlOf("memflow_worker") });
  await postgres.connect();
  try {
    for (const statement of [
      `create table ${SCHEMA}.mine ()`,
      `drop table ${SCHEMA}.runs`,
      `alter table ${SCHEMA}.runs add column mine text`,
      `delete from ${SCHEMA}.schema_migrations`,
      `update ${SCHEMA}.event_kinds set word = ''`,
      `delete from ${SCHEMA}.queue_builds`,
    ]) {
      await expect(postgres.query(statement)).rejects.toMatchObject({ code: "42501" });
    }
  } finally {
    await postgres.end();
  }
});

test("the role of one schema reads and writes nothing of another", async () => {
  const connection = urlOf("memflow_worker");
  const postgres = new pg.Client({ connectionString: connection });
  await postgres.connect();
  try {
    const { rows } = await admin.query<{ name: string }>(
      `select table_name as name from information_schema.tables where table_schema = $1`,
      [OTHER_SCHEMA],
    );
    expect(rows.length).toBeGreaterThan(0);
    for (const { name } of rows)
      await expect(postgres.query(`select from ${OTHER_SCHEMA}.${name}`)).rejects.toMatchObject({
        code: "42501",
      });
    await expect(postgres.query(`delete from ${OTHER_SCHEMA}.runs`)).rejects.toMatchObject({ code: "42501" });
  } finally {
    await postgres.end();
  }
  const client = new Client({ connection, namespace: OTHER_SCHEMA });
  await expect(
    client.workflow.start({ taskQueue: "granted", workflowName: "everything" }),
  ).rejects.toBeInstanceOf(MemFlowError);
});
