/** Migrations: once, whole, in any schema, with any number of processes, and with few rights. */
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { latestVersion } from "@memflow/migrations";
import { afterAll, afterEach, expect, test } from "vitest";
import { testDatabaseUrl, testDatabaseUrlWith, testSource, uniqueName } from "../testing/test-database.ts";
import { resolveConnection } from "./connection-source.ts";
import { quoteIdentifier } from "./identifiers.ts";
import { assertSchemaVersion, migrate, schemaVersion } from "./migrator.ts";
import { Session } from "./session.ts";

const admin = new Session({ source: testSource(), purpose: "test" });
const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});
afterAll(() => admin.close());

/** A schema name that is dropped after the test; the schema is not made. */
function freshSchema(suffix = ""): string {
  const schema = `${uniqueName()}${suffix}`;
  cleanups.push(() => admin.query({ text: `drop schema if exists ${quoteIdentifier(schema)} cascade` }));
  return schema;
}

const FIRST = `
  create table things (id integer primary key, name text not null);
  create function count_things() returns bigint language sql set search_path from current as 'select count(*) from things'`;
const SECOND =
  "-- Down migration: a comment that a library could take for its own.\nalter table things add note text";

/** A folder of numbered files. */
async function makeFolder(...texts: readonly string[]): Promise<URL> {
  const path = await mkdtemp(join(tmpdir(), "memflow-migrations-"));
  cleanups.push(() => rm(path, { recursive: true }));
  for (const [index, text] of texts.entries()) {
    await writeFile(join(path, `${String(index + 1).padStart(4, "0")}_step-${index + 1}.sql`), text);
  }
  return pathToFileURL(`${path}/`);
}

async function makeRole(): Promise<{ readonly role: string; readonly url: string }> {
  const role = uniqueName();
  await admin.query({ text: `create role ${role} login password 'right'` });
  cleanups.push(() => admin.query({ text: `drop owned by ${role}; drop role ${role}` }));
  return { role, url: testDatabaseUrlWith({ username: role, password: "right" }) };
}

async function listTables(schema: string): Promise<unknown[]> {
  const { rows } = await admin.query<{ name: string }>({
    text: "select tablename::text as name from pg_tables where schemaname = $1 order by tablename",
    values: [schema],
  });
  return rows.map((row) => row.name);
}

test("the files of this project make a schema of their newest version, and again nothing", async () => {
  const schema = freshSchema();
  const source = testSource();
  const to = latestVersion();
  expect(await migrate({ source, schema })).toEqual({ from: 0, to });
  expect(await migrate({ source, schema })).toEqual({ from: to, to });
  expect(await schemaVersion(admin, schema)).toBe(to);
  await assertSchemaVersion(admin, schema);
});

test.each([" Upper Case", `'; drop "things" --`, "ünïcödé \u{1f600}", "$$ \\ %s :schema {schema}"])(
  "a schema called ...%s is made, migrated and used",
  async (suffix) => {
    const schema = freshSchema(suffix);
    const folder = await makeFolder(FIRST, SECOND);
    const source = testSource();
    expect(await migrate({ source, schema, folder, targetVersion: 1 })).toEqual({ from: 0, to: 1 });
    expect(await migrate({ source, schema, folder })).toEqual({ from: 1, to: 2 });
    expect(await migrate({ source, schema, folder })).toEqual({ from: 2, to: 2 });
    expect(await listTables(schema)).toEqual(["schema_migrations", "things"]);
    await admin.query({ text: `insert into ${quoteIdentifier(schema)}.things values (1, 'a', 'b')` });
    const { rows } = await admin.query({ text: `select ${quoteIdentifier(schema)}.count_things() as count` });
    expect(rows).toEqual([{ count: "1" }]);
  },
);

test("two stores of one database do not see each other's tables", async () => {
  const folder = await makeFolder(FIRST);
  const schemas = [freshSchema(), freshSchema()];
  for (const schema of schemas) {
    expect(await migrate({ source: testSource(), schema, folder })).toEqual({ from: 0, to: 1 });
  }
});

test("a file that fails half-way leaves nothing of itself, and what stood before stands", async () => {
  const schema = freshSchema();
  const source = testSource();
  const folder = await makeFolder(
    FIRST,
    "create table half (a integer); select 1 / 0",
    "create table never ()",
  );
  await expect(migrate({ source, schema, folder })).rejects.toMatchObject({ code: "22012" });
  expect(await listTables(schema)).toEqual(["schema_migrations", "things"]);
  expect(await schemaVersion(admin, schema)).toBe(1);
});

test("a first file that fails leaves no schema", async () => {
  const schema = freshSchema();
  const folder = await makeFolder("create table half (a integer); select 1 / 0");
  await expect(migrate({ source: testSource(), schema, folder })).rejects.toMatchObject({ code: "22012" });
  const { rows } = await admin.query({
    text: "select 1 from pg_namespace where nspname = $1",
    values: [schema],
  });
  expect(rows).toEqual([]);
});

test("a schema that holds tables of something else is refused as taken, and stays as it is", async () => {
  const schema = freshSchema();
  await admin.query({ text: `create schema ${schema}` });
  await admin.query({ text: `create table ${schema}.events (id integer)` });
  await expect(migrate({ source: testSource(), schema })).rejects.toMatchObject({
    name: "SchemaError",
    code: "SCHEMA_TAKEN",
    schema,
  });
  expect(await listTables(schema)).toEqual(["events"]);
});

test("eight processes at once migrate a schema once, and all of them report success", async () => {
  const schema = freshSchema();
  const folder = await makeFolder(FIRST, SECOND, "create table third ()", "create table fourth ()");
  const program = `
    const [url, schema, folder, engine] = process.argv.slice(1);
    const { migrate } = await import(engine + "migrator.ts");
    const { resolveConnection } = await import(engine + "connection-source.ts");
    const { to } = await migrate({ source: resolveConnection(url), schema, folder: new URL(folder) });
    console.log(to);`;
  const engine = new URL(".", import.meta.url).href;
  const args = [
    "-C",
    "source",
    "--input-type=module",
    "-e",
    program,
    testDatabaseUrl(),
    schema,
    folder.href,
    engine,
  ];
  const outputs = await Promise.all(
    Array.from({ length: 8 }, () => promisify(execFile)(process.execPath, args)),
  );
  expect(outputs.map(({ stdout }) => stdout.trim())).toEqual(Array.from({ length: 8 }, () => "4"));
  const { rows } = await admin.query({
    text: `select name from ${quoteIdentifier(schema)}.schema_migrations order by name`,
  });
  expect(rows).toEqual(
    ["0001_step-1", "0002_step-2", "0003_step-3", "0004_step-4"].map((name) => ({ name })),
  );
});

test("eight sessions of one process migrate two schemas at once", async () => {
  const folder = await makeFolder(FIRST, SECOND);
  const schemas = [freshSchema(), freshSchema()];
  const results = await Promise.all(
    Array.from({ length: 8 }, (_unused, index) =>
      migrate({ source: testSource(), schema: schemas[index % 2] ?? "", folder }),
    ),
  );
  expect(results.map(({ to }) => to)).toEqual(Array.from({ length: 8 }, () => 2));
});

test("a schema of a newer version is refused with both versions and the remedy, and stays as it is", async () => {
  const schema = freshSchema();
  const source = testSource();
  await migrate({ source, schema, folder: await makeFolder(FIRST, SECOND) });
  const older = migrate({ source, schema, folder: await makeFolder(FIRST) });
  await expect(older).rejects.toMatchObject({
    name: "SchemaError",
    code: "SCHEMA_TOO_NEW",
    foundVersion: 2,
    neededVersion: 1,
    schema,
  });
  await expect(older).rejects.toThrow("upgrade this process");
  expect(await schemaVersion(admin, schema)).toBe(2);
});

test("files whose transactions began in another order than they were applied do not stop the next file", async () => {
  const schema = freshSchema();
  const source = testSource();
  await migrate({ source, schema, folder: await makeFolder(FIRST, SECOND) });
  await admin.query({
    text: `update ${quoteIdentifier(schema)}.schema_migrations set run_on = run_on - interval '1s'
      where name = '0002_step-2'`,
  });
  const folder = await makeFolder(FIRST, SECOND, "create table third ()");
  expect(await migrate({ source, schema, folder })).toEqual({ from: 2, to: 3 });
});

test("a schema that another line of files made is refused with both names", async () => {
  const schema = freshSchema();
  const source = testSource();
  await migrate({ source, schema, folder: await makeFolder(FIRST) });
  await admin.query({ text: `update ${quoteIdentifier(schema)}.schema_migrations set name = '0001_other'` });
  const failing = migrate({ source, schema, folder: await makeFolder(FIRST, SECOND) });
  await expect(failing).rejects.toMatchObject({ name: "SchemaError", foundVersion: 1, neededVersion: 2 });
  await expect(failing).rejects.toThrow('"0001_other" where this one has "0001_step-1"');
});

test("a schema that is missing, too old or too new for this code is told apart", async () => {
  const schema = freshSchema();
  const needed = latestVersion();
  await expect(assertSchemaVersion(admin, schema)).rejects.toMatchObject({ code: "SCHEMA_MISSING" });
  await migrate({ source: testSource(), schema, targetVersion: 1 });
  await expect(assertSchemaVersion(admin, schema)).rejects.toMatchObject({
    code: "SCHEMA_TOO_OLD",
    foundVersion: 1,
    neededVersion: needed,
  });
  await admin.query({
    text: `insert into ${quoteIdentifier(schema)}.schema_migrations (name, run_on) values ('9999_future', now())`,
  });
  await expect(assertSchemaVersion(admin, schema)).rejects.toMatchObject({ code: "SCHEMA_TOO_NEW" });
});

test("a role without DDL rights passes where the schema is up to date, and nothing is written", async () => {
  const schema = freshSchema();
  const folder = await makeFolder(FIRST);
  await migrate({ source: testSource(), schema, folder });
  const { role, url } = await makeRole();
  await admin.query({
    text: `grant usage on schema ${quoteIdentifier(schema)} to ${role};
      grant select on ${quoteIdentifier(schema)}.schema_migrations to ${role};
      alter role ${role} set default_transaction_read_only = on`,
  });
  expect(await migrate({ source: resolveConnection(url), schema, folder })).toEqual({ from: 1, to: 1 });
});

test("a role that may not create schemas is given the SQL that lets it, and that SQL suffices", async () => {
  const schema = freshSchema(' a"b');
  const folder = await makeFolder(FIRST);
  const { url } = await makeRole();
  const source = resolveConnection(url);
  const error = await migrate({ source, schema, folder }).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ name: "ConnectionError", code: "PERMISSION_DENIED" });
  await admin.query({ text: remedyOf(error) });
  expect(await migrate({ source, schema, folder })).toEqual({ from: 0, to: 1 });
});

test("a role that may not create in an existing schema is given the SQL that lets it, and that SQL suffices", async () => {
  const schema = freshSchema();
  await admin.query({ text: `create schema ${quoteIdentifier(schema)}` });
  const folder = await makeFolder(FIRST);
  const { url } = await makeRole();
  const source = resolveConnection(url);
  const error = await migrate({ source, schema, folder }).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ name: "ConnectionError", code: "PERMISSION_DENIED" });
  await admin.query({ text: remedyOf(error) });
  expect(await migrate({ source, schema, folder })).toEqual({ from: 0, to: 1 });
});

test("a read-only database is told as such", async () => {
  const { role, url } = await makeRole();
  await admin.query({ text: `alter role ${role} set default_transaction_read_only = on` });
  const failing = migrate({ source: resolveConnection(url), schema: freshSchema() });
  await expect(failing).rejects.toMatchObject({ name: "ConnectionError", code: "DATABASE_READ_ONLY" });
});

test("a bad schema name or target is refused before anything is connected", async () => {
  const source = resolveConnection("postgresql://u:p@127.0.0.1:1/nowhere");
  await expect(migrate({ source, schema: "" })).rejects.toMatchObject({ code: "BAD_SCHEMA_NAME" });
  await expect(migrate({ source, schema: "s", targetVersion: 1.5 })).rejects.toMatchObject({
    code: "BAD_OPTION",
  });
  await expect(migrate({ source, schema: "s", targetVersion: 9999 })).rejects.toMatchObject({
    code: "BAD_OPTION",
  });
});

test("an unreachable database is told as such", async () => {
  const source = resolveConnection("postgresql://u:p@127.0.0.1:1/nowhere");
  await expect(migrate({ source, schema: "s" })).rejects.toMatchObject({ code: "DATABASE_UNREACHABLE" });
});

test("a temporary table of the same name does not stand in for a store's", async () => {
  const schema = freshSchema();
  await migrate({ source: testSource(), schema, folder: await makeFolder(FIRST) });
  const counted = await admin.transaction(async (query) => {
    await query({ text: "create temporary table things on commit drop as select 1 as id, 'a' as name" });
    const { rows } = await query({ text: `select ${quoteIdentifier(schema)}.count_things() as count` });
    return rows;
  });
  expect(counted).toEqual([{ count: "0" }]);
});

function remedyOf(error: unknown): string {
  const text = (error as Error).message.split("an administrator runs: ")[1];
  return text ?? expect.unreachable("the message should hold the SQL");
}
