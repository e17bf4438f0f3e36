/**
 * `client.workflow.search`: users' own SQL sees two views, changes nothing, and finds no way out.
 */
import { randomBytes } from "node:crypto";
import { eventually } from "@memflow/engine/testing";
import { Client, MemFlow, SearchError, Worker } from "@memflow/sdk";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";

const URL_TEXT = process.env["MEMFLOW_TEST_DATABASE_URL"] ?? "";
const SUFFIX = randomBytes(6).toString("hex");
const SCHEMA = `searched_${SUFFIX}`;
const OTHER = `other_${SUFFIX}`;
const LOGIN = `searcher_${SUFFIX}`;
const MAKER = `maker_${SUFFIX}`;
const PASSWORD = "a password";

const admin = new pg.Client({ connectionString: URL_TEXT });
const client = new Client({ connection: URL_TEXT, namespace: SCHEMA });

async function colored(color: string): Promise<string> {
  const memory = await MemFlow.workflow.entity();
  await memory.set({ color, secret: "of the entity" });
  const search = await MemFlow.workflow.search();
  await search.set({ color });
  await search.incr("count", 3);
  await MemFlow.workflow.waitFor("end");
  return "a result that no view shows";
}

async function roleOf(schema: string): Promise<string> {
  const { rows } = await admin.query<{ role: string }>(`select ${schema}.search_role() as role`);
  return rows[0]?.role ?? "";
}

beforeAll(async () => {
  await admin.connect();
  await Worker.create({ connection: URL_TEXT, namespace: SCHEMA, taskQueue: "search", workflow: colored });
  for (const [workflowId, color] of [
    ["one", "red"],
    ["two", "blue"],
  ] as const) {
    const handle = await client.workflow.start({
      taskQueue: "search",
      workflowName: "colored",
      workflowId,
      entity: "paint",
      args: [color],
    });
    await eventually("its search data", async () => (await handle.queryState(["count"]))["count"] === "3");
    if (workflowId === "two") {
      await handle.signal("end");
      await handle.result();
    }
  }
  await client.deployAndActivate(OTHER);
});

afterAll(async () => {
  const roles = [await roleOf(SCHEMA), await roleOf(OTHER)];
  await MemFlow.shutdown({ graceMs: 0 });
  await admin.query(`drop schema ${SCHEMA} cascade; drop schema ${OTHER} cascade`);
  for (const role of [...roles, LOGIN, MAKER]) {
    const { rowCount } = await admin.query("select 1 from pg_roles where rolname = $1", [role]);
    if (rowCount === 1) await admin.query(`drop owned by ${role} cascade; drop role ${role}`);
  }
  await admin.end();
});

function search(sql: string, ...parameters: unknown[]): Promise<Record<string, unknown>[]> {
  return client.workflow.search("search", "colored", null, "sql", sql, ...parameters);
}

/** What everything that a search must not change looks like; other files have schemas and roles of their own meanwhile. */
async function fingerprint(): Promise<unknown> {
  const { rows } = await admin.query(`
    select (select count(*) from ${SCHEMA}.runs) as runs,
      (select md5(string_agg(r::text, ',' order by r.run_id)) from ${SCHEMA}.runs r) as text,
      (select count(*) from pg_class where relname = 'made'
        or relnamespace in ('${SCHEMA}'::regnamespace, '${OTHER}'::regnamespace)) as relations,
      (select count(*) from pg_largeobject_metadata) as objects,
      (select r::text from pg_roles r where rolname = ${SCHEMA}.search_role()) as role,
      (select count(*) from pg_locks where locktype = 'advisory' and objid = 4711) as locks`);
  return rows;
}

test("runs and their search data are found by SQL, also while they run, in each namespace its own", async () => {
  const found = await search(
    "select j.key, j.status, j.context ->> 'color' as color from jobs j join jobs_attributes a on a.job_id = j.id " +
      "where a.field = $1 and a.value = $2",
    "_color",
    "red",
  );
  expect(found).toEqual([{ key: "one", status: 1, color: "red" }]);
  const qualified = await search(
    `select field, value, type from ${SCHEMA}.jobs_attributes a join ${SCHEMA}.jobs j on j.id = a.job_id ` +
      "where j.key = $1 order by field",
    "two",
  );
  expect(qualified).toEqual([
    { field: "_color", value: "blue", type: "udata" },
    { field: "_count", value: "3", type: "udata" },
  ]);
  expect(await client.workflow.search(null, null, OTHER, null, "select * from jobs")).toEqual([]);
});

test("of the store, the two views are all that the role of searches can read", async () => {
  const [everything] = await search("select schema_to_xml($1, true, true, '')::text as text", SCHEMA);
  const elements = [...String(everything?.["text"]).matchAll(/^<(\w+)>$/gmu)].map(([, name]) => name ?? "");
  expect(new Set(elements)).toEqual(new Set(["jobs", "jobs_attributes"]));
  expect(everything?.["text"]).not.toContain("a result that no view shows");
});

test("parameters take the type that the query gives them", async () => {
  const sql =
    "select key from jobs where status = $1 and created_at < $2 and context @> $3 and is_live = $4 and key = any ($5)";
  const values = [0, new Date(Date.now() + 3_600_000), { color: "blue" }, false, "{one,two}"];
  expect(await search(sql, ...values)).toEqual([{ key: "two" }]);
  expect(await search("select key from jobs where ($1::text is null) order by key", null)).toHaveLength(2);
  const hostile = `'; drop table ${SCHEMA}.runs; --\\`;
  expect(await search("select $1 as text", hostile)).toEqual([{ text: hostile }]);
});

test.each([
  ["a table of the store", "select * from runs"],
  ["another table of it", "select * from events"],
  ["its entities", "select * from entities"],
  ["another namespace", `select * from ${OTHER}.jobs`],
  ["another namespace's table", `select * from ${OTHER}.runs`],
  ["passwords", "select * from pg_authid"],
  ["a file", "select pg_read_file('/etc/passwd')"],
  ["a directory", "select pg_ls_dir('.')"],
  ["an insert", "insert into runs (run_id) values (gen_random_uuid()) returning 1"],
  ["a write in a query", "with gone as (delete from runs returning 1) select * from gone"],
  ["a write to the view", "with gone as (delete from jobs returning 1) select * from gone"],
  ["a lock", "select * from jobs for update"],
  ["a table made by a query", "select 1 as x into made"],
  ["a table made", "create table made (x int)"],
  ["a temporary table", "create temporary table made (x int)"],
  ["a block", "do $$ begin perform 1; end $$"],
  ["copy to a program", "copy (select 1) to program 'cat'"],
  ["copy to a file", "copy jobs to '/tmp/copied'"],
  ["a second statement", "select 1; select * from runs"],
  ["a second statement that ends the transaction", "select 1; commit; drop table runs"],
  ["an end of the transaction", "commit"],
  ["set role", "set role postgres"],
  ["reset role", "reset role"],
  ["set session authorization", "set session authorization default"],
  ["discard", "discard all"],
  ["a role by set_config", "select set_config('role', 'none', true)"],
  ["a role by set_config for the session", "select set_config('role', session_user, false)"],
  ["an authorization by set_config", "select set_config('session_authorization', session_user, true)"],
  [
    "a role by set_config, then SQL in a text",
    "select set_config('role', 'none', true), query_to_xml('select * from runs', true, true, '')",
  ],
  ["SQL in a text", "select query_to_xml('select * from runs', true, true, '')"],
  ["a write in a text", "select query_to_xml('delete from runs', true, true, '')"],
  [
    "two statements in a text",
    "select query_to_xml('select 1; reset role; select * from runs', true, true, '')",
  ],
  [
    "writing after all",
    "select set_config('transaction_read_only', 'off', true), query_to_xml('create table made ()', true, true, '')",
  ],
  ["the functions of the store", "select * from prune(1000)"],
  ["the end of a run", "select * from end_runs((select json_agg(json_build_object('run', id)) from jobs))"],
  ["a search in a search", "select run_search('select * from runs', null, 1, 1)"],
  ["a setting of superusers", "select set_config('log_statement', 'all', false)"],
  ["the end of the server's processes", "select pg_terminate_backend(pid) from pg_stat_activity"],
  ["a large object", "select lo_creat(-1)"],
  ["a sequence", "select nextval('inbox_message_id_seq')"],
  ["statistics of a table", "select stawidth from pg_statistic"],
  ["explain", "explain analyze delete from runs"],
  ["a declared cursor", "declare c cursor with hold for select * from runs"],
  ["a prepared statement", "execute anything"],
  ["another prepared statement", "select 1; prepare y as select * from runs"],
  ["listen", "listen anything"],
  ["vacuum", "vacuum"],
  ["a call", "call anything()"],
])("what no search may have: %s", async (_what, sql) => {
  const before = await fingerprint();
  await expect(search(sql)).rejects.toBeInstanceOf(SearchError);
  await expect(search(sql)).rejects.toMatchObject({ code: "SEARCH_REFUSED" });
  expect(await fingerprint()).toEqual(before);
});

test("what a search may call changes nothing for anybody else", async () => {
  const before = await fingerprint();
  expect(await search("select current_user = $1 as restricted", await roleOf(SCHEMA))).toEqual([
    { restricted: true },
  ]);
  await search(
    "select set_config('search_path', 'pg_temp', false), pg_notify('anything', 'x'), pg_advisory_lock(0, 4711)",
  );
  await search("select set_config('statement_timeout', '0', false)");
  expect(
    await search("select current_setting('statement_timeout') as timeout, key from jobs limit 1"),
  ).toMatchObject([{ timeout: "10s" }]);
  await expect.poll(fingerprint, { timeout: 10_000, interval: 20 }).toEqual(before);
  const activity = await search("select query from pg_stat_activity where usename = session_user");
  expect(activity.every(({ query }) => query === null || query === "<insufficient privilege>")).toBe(true);
});

test("a search that takes too long, or gives too much, ends with an error that says so", async () => {
  await expect(search("select pg_sleep(3600)")).rejects.toMatchObject({ code: "SEARCH_TIMEOUT" });
  await expect(
    search("select set_config('statement_timeout', '0', true), pg_sleep(3600)"),
  ).rejects.toMatchObject({ code: "SEARCH_TIMEOUT" });
  await expect(search("select * from generate_series(1, 10001) n")).rejects.toMatchObject({
    code: "SEARCH_TOO_LARGE",
  });
  await expect(search("select repeat('x', 17000000) as text")).rejects.toMatchObject({
    code: "SEARCH_TOO_LARGE",
  });
  expect(await search("select * from generate_series(1, 10000) n")).toHaveLength(10_000);
});

test("text that is no query is refused before anything is asked", async () => {
  for (const sql of ["", "  ", "select '\0'", 7]) {
    await expect(search(sql as string)).rejects.toMatchObject({ code: "BAD_OPTION", field: "query[0]" });
  }
  await expect(search("selec")).rejects.toMatchObject({ code: "SEARCH_REFUSED", sqlState: "42601" });
});

test("a role that may not make roles is told what an administrator runs, and searches when that is done", async () => {
  const database = admin.database ?? "";
  await admin.query(`
    create role ${LOGIN} login password '${PASSWORD}';
    create role ${MAKER} login createrole password '${PASSWORD}';
    grant usage on schema ${OTHER} to ${LOGIN};
    grant select, insert, update, delete on all tables in schema ${OTHER} to ${LOGIN}`);
  const connection = Object.assign(new URL(URL_TEXT), { username: LOGIN, password: PASSWORD }).href;
  const limited = new Client({ connection, namespace: OTHER });
  const look = () => limited.workflow.search(null, null, null, null, "select count(*) as count from jobs");
  // Searches of an administrator in an earlier test may have prepared it.
  await admin.query(`
    alter function ${OTHER}.run_search security invoker;
    alter function ${OTHER}.run_search owner to current_user`);
  const refused: unknown = await look().catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: "SEARCH_NOT_PREPARED" });
  expect((refused as Error).message).toContain(`select "${OTHER}".prepare_search()`);
  // Not only superusers can: an owner who may make roles can too.
  await admin.query(`
    drop owned by ${await roleOf(OTHER)};
    drop role ${await roleOf(OTHER)};
    grant create on database ${pg.escapeIdentifier(database)} to ${MAKER};
    alter schema ${OTHER} owner to ${MAKER};
    alter function ${OTHER}.run_search owner to ${MAKER};
    alter view ${OTHER}.jobs owner to ${MAKER};
    alter view ${OTHER}.jobs_attributes owner to ${MAKER};
    grant select on all tables in schema ${OTHER} to ${MAKER}`);
  const maker = new pg.Client(Object.assign(new URL(URL_TEXT), { username: MAKER, password: PASSWORD }).href);
  await maker.connect();
  try {
    await maker.query(`select ${OTHER}.prepare_search()`);
    await maker.query(`select ${OTHER}.prepare_search()`);
  } finally {
    await maker.end();
  }
  expect(await look()).toEqual([{ count: 0 }]);
  await expect(limited.workflow.search(null, null, null, null, "select * from runs")).rejects.toMatchObject({
    code: "SEARCH_REFUSED",
    sqlState: "42501",
  });
  await expect(
    limited.workflow.search(
      null,
      null,
      null,
      null,
      "select set_config('role', 'none', true), query_to_xml('select * from runs', true, true, '')",
    ),
  ).rejects.toMatchObject({ code: "SEARCH_REFUSED" });
});
