/** The test at start: what a connection really is, and what to change. */
import { afterAll, afterEach, expect, test } from "vitest";
import { startFakePooler } from "../testing/fake-pooler.ts";
import { findPgBouncer, startPgBouncer } from "../testing/pgbouncer.ts";
import type { PoolMode } from "../testing/pgbouncer.ts";
import { testDatabaseUrl, testDatabaseUrlWith, testSource, uniqueName } from "../testing/test-database.ts";
import { textArray } from "./binary-arrays.ts";
import { resolveConnection, withPooled } from "./connection-source.ts";
import { quoteIdentifier } from "./identifiers.ts";
import { migrate } from "./migrator.ts";
import { assertUsable, findProblem, inspectDatabase } from "./self-test.ts";
import type { DatabaseFacts } from "./self-test.ts";
import { Session } from "./session.ts";

const admin = new Session({ source: testSource(), purpose: "test" });
const cleanups: (() => Promise<unknown>)[] = [];
const pgBouncer = findPgBouncer();
const NOT_INSTALLED = "pgbouncer is not installed on this machine";

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});
afterAll(() => admin.close());

const GOOD: DatabaseFacts = {
  version: 180_000,
  readOnly: false,
  inRecovery: false,
  pooled: "none",
  listenWorks: true,
};

async function openFakePooler(): Promise<string> {
  const pooler = await startFakePooler(testDatabaseUrl());
  cleanups.push(() => pooler.close());
  return testDatabaseUrlWith({ host: `127.0.0.1:${pooler.port}` });
}

async function openPgBouncer(mode: PoolMode): Promise<string> {
  const pooler = await startPgBouncer(pgBouncer ?? "", testDatabaseUrl(), mode);
  cleanups.push(() => pooler.stop());
  return testDatabaseUrlWith({ host: `127.0.0.1:${pooler.port}` });
}

test("a direct connection is seen as it is, and is usable unchanged", async () => {
  const source = testSource();
  const { rows } = await admin.query<{ version: number }>({
    text: "select current_setting('server_version_num')::integer as version",
  });
  expect(await inspectDatabase(source)).toEqual({ ...GOOD, version: rows[0]?.version });
  expect((await assertUsable(source)).source).toBe(source);
});

test("a role whose transactions are read-only is refused with the remedy", async () => {
  const role = uniqueName();
  await admin.query({ text: `create role ${role} login password 'right'` });
  cleanups.push(() => admin.query({ text: `drop role ${role}` }));
  await admin.query({ text: `alter role ${role} set default_transaction_read_only = on` });
  const failing = assertUsable(resolveConnection(testDatabaseUrlWith({ username: role, password: "right" })));
  await expect(failing).rejects.toMatchObject({ name: "ConnectionError", code: "DATABASE_READ_ONLY" });
  await expect(failing).rejects.toThrow("default_transaction_read_only");
});

test("an unreachable database is told as such", async () => {
  const failing = assertUsable(resolveConnection("postgresql://u:p@127.0.0.1:1/nowhere"));
  await expect(failing).rejects.toMatchObject({ code: "DATABASE_UNREACHABLE" });
});

test("a pooler in transaction mode is found out, with the two remedies", async () => {
  const source = resolveConnection(await openFakePooler());
  expect(await inspectDatabase(source)).toMatchObject({ pooled: "transaction", listenWorks: false });
  const failing = assertUsable(source);
  await expect(failing).rejects.toMatchObject({
    code: "POOLER_IN_TRANSACTION_MODE",
    target: source.describe(),
  });
  await expect(failing).rejects.toThrow(/direct: .* polling: true/);
});

test("behind a pooler a direct connection or polling is enough, and the source then knows that it is pooled", async () => {
  const pooled = await openFakePooler();
  const withDirect = await assertUsable(
    resolveConnection({ connectionString: pooled, direct: testDatabaseUrl() }),
  );
  const withPolling = await assertUsable(resolveConnection({ connectionString: pooled, polling: true }));
  expect(withDirect.source.pooled).toBe(true);
  expect(withPolling.source.pooled).toBe(true);
  expect(withPolling.facts.pooled).toBe("transaction");
});

test("a direct connection that goes through the pooler too is refused", async () => {
  const pooled = await openFakePooler();
  const failing = assertUsable(resolveConnection({ connectionString: pooled, direct: pooled }));
  await expect(failing).rejects.toMatchObject({ code: "POOLER_IN_TRANSACTION_MODE" });
});

test.each<[string, Partial<DatabaseFacts>, string | undefined]>([
  ["a good one", {}, undefined],
  ["Postgres 15", { version: 150_000 }, undefined],
  ["Postgres 14", { version: 140_012 }, "DATABASE_TOO_OLD"],
  ["a standby", { inRecovery: true, listenWorks: false }, "DATABASE_READ_ONLY"],
  ["a read-only role", { readOnly: true }, "DATABASE_READ_ONLY"],
  ["a transaction pooler", { pooled: "transaction", listenWorks: false }, "POOLER_IN_TRANSACTION_MODE"],
  ["one that loses notifications", { listenWorks: false }, "POOLER_IN_TRANSACTION_MODE"],
])("%s is judged by its facts", (_name, facts, code) => {
  expect(findProblem({ ...GOOD, ...facts }, testSource())?.code).toBe(code);
});

test("the version is told as Postgres writes it", () => {
  expect(findProblem({ ...GOOD, version: 140_012 }, testSource())?.message).toContain("Postgres 14.12");
});

test("PgBouncer in transaction mode is found out", async ({ skip }) => {
  skip(pgBouncer === undefined, NOT_INSTALLED);
  const source = resolveConnection(await openPgBouncer("transaction"));
  expect(await inspectDatabase(source)).toMatchObject({ pooled: "transaction", listenWorks: false });
  await expect(assertUsable(source)).rejects.toMatchObject({ code: "POOLER_IN_TRANSACTION_MODE" });
});

test("PgBouncer in session mode is seen, and is usable", async ({ skip }) => {
  skip(pgBouncer === undefined, NOT_INSTALLED);
  const source = resolveConnection(await openPgBouncer("session"));
  const usable = await assertUsable(source);
  expect(usable.facts).toMatchObject({ pooled: "session", listenWorks: true });
  const session = new Session({
    source: usable.source,
    purpose: "test",
    settings: { enable_seqscan: "off" },
  });
  cleanups.push(() => session.close());
  const { rows } = await session.query({ text: "select current_setting('enable_seqscan') as seqscan" });
  expect(rows).toEqual([{ seqscan: "off" }]);
});

test("sessions and migrations work through PgBouncer in transaction mode", async ({ skip }) => {
  skip(pgBouncer === undefined, NOT_INSTALLED);
  const source = withPooled(resolveConnection(await openPgBouncer("transaction")), true);
  const schema = uniqueName();
  cleanups.push(() => admin.query({ text: `drop schema if exists ${quoteIdentifier(schema)} cascade` }));
  const [first, second] = await Promise.all([migrate({ source, schema }), migrate({ source, schema })]);
  expect(first?.to).toBe(second?.to);
  const sessions = [1, 2, 3].map(() => new Session({ source, purpose: "test" }));
  for (const session of sessions) cleanups.push(() => session.close());
  const answers = await Promise.all(
    Array.from({ length: 30 }, async (_unused, index) => {
      const statement = {
        name: "same_name",
        text: "select $1::text[] as list",
        values: [textArray([`${index}`])],
      };
      const { rows } = await (sessions[index % 3] ?? admin).query<{ list: string[] }>(statement);
      return rows[0]?.list[0];
    }),
  );
  expect(answers).toEqual(Array.from({ length: 30 }, (_unused, index) => `${index}`));
});
