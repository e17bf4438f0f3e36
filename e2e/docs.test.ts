/**
 * The reference pages name everything that is there: a table, an event, a variable or a warning that nobody described
 * fails here.
 */
import { randomBytes } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { migrate, resolveConnection } from "@memflow/engine";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";

const DATABASE_URL = process.env["MEMFLOW_TEST_DATABASE_URL"] ?? "";
const SCHEMA = `docs_${randomBytes(8).toString("hex")}`;
const postgres = new pg.Client({ connectionString: DATABASE_URL });

beforeAll(async () => {
  await postgres.connect();
  await migrate({ source: resolveConnection(DATABASE_URL), schema: SCHEMA });
});

afterAll(async () => {
  await postgres.query(`drop schema if exists ${SCHEMA} cascade`);
  await postgres.end();
});

function read(path: string): string {
  return readFileSync(new URL(`../${path}`, import.meta.url), "utf8");
}

/** The sources of a folder, without its tests. */
function filesOf(folder: string): string[] {
  return readdirSync(new URL(`../${folder}/`, import.meta.url))
    .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))
    .map((name) => `${folder}/${name}`);
}

/** What a page shows as code. */
function codeOf(page: string): ReadonlySet<string> {
  return new Set([...read(page).matchAll(/`([^`\n]+)`/gu)].map(([, code]) => code ?? ""));
}

async function names(text: string): Promise<string[]> {
  const { rows } = await postgres.query<{ name: string }>(text, [SCHEMA]);
  return rows.map(({ name }) => name);
}

/** All that a pattern's first group finds in a source; at least one, or the pattern is out of date. */
function found(path: string, pattern: RegExp): string[] {
  const values = [...new Set([...read(path).matchAll(pattern)].map(([, value]) => value ?? ""))];
  expect(values).not.toEqual([]);
  return values;
}

test("every table has a section in data-model.md", async () => {
  const headings = new Set([...read("docs/data-model.md").matchAll(/^### (.+)$/gmu)].map(([, name]) => name));
  const tables = await names("select tablename as name from pg_tables where schemaname = $1");
  expect(tables.length).toBeGreaterThan(0);
  expect(tables.filter((name) => !headings.has(name))).toEqual([]);
});

test("data-model.md has no section of a table that is not there", async () => {
  const [, section = ""] = /^## Tables$(.*?)^## /msu.exec(read("docs/data-model.md")) ?? [];
  const described = [...section.matchAll(/^### (.+)$/gmu)].map(([, name]) => name ?? "");
  const tables = await names("select tablename as name from pg_tables where schemaname = $1");
  expect(described.length).toBeGreaterThan(0);
  expect(described.filter((name) => !tables.includes(name))).toEqual([]);
});

test("every view, and every index but those of primary keys, is described in data-model.md", async () => {
  const described = codeOf("docs/data-model.md");
  const views = await names("select viewname as name from pg_views where schemaname = $1");
  const indexes = await names(`
    select c.relname as name
    from pg_index i
    join pg_class c on c.oid = i.indexrelid
    join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = $1 and not exists (select 1 from pg_constraint k where k.conindid = c.oid)`);
  expect(views.length * indexes.length).toBeGreaterThan(0);
  expect([...views, ...indexes].filter((name) => !described.has(name))).toEqual([]);
});

test("every kind of event is explained in replay.md", async () => {
  const explained = codeOf("docs/replay.md");
  const words = await names(`select word as name from ${SCHEMA}.event_kinds where $1 <> ''`);
  expect(words.length).toBeGreaterThan(0);
  expect(words.filter((word) => !explained.has(word))).toEqual([]);
});

test("every variable of the worker process is in operations.md", () => {
  const explained = codeOf("docs/operations.md");
  const variables = found("worker-runtime/src/settings.ts", /"(MEMFLOW_\w+)"/gu);
  expect(variables.filter((name) => !explained.has(name))).toEqual([]);
});

test("every variable and metric of the gateway's process is in gateway.md", () => {
  const explained = codeOf("docs/gateway.md");
  const variables = found("gateway/src/config.ts", /\| (MEMFLOW_GATEWAY_\w+) \|/gu);
  const read = found("gateway/src/config.ts", /\.(?:text|list|port|oneOf|boolean|duration)\("(\w+)"/gu);
  expect(read.map((name) => `MEMFLOW_GATEWAY_${name}`).toSorted()).toEqual(variables.toSorted());
  const metrics = found("gateway/src/metrics.ts", /name: "(memflow_\w+)"/gu);
  expect([...variables, ...metrics].filter((name) => !explained.has(name))).toEqual([]);
});

test("every warning and error that a worker logs is explained in operations.md", () => {
  const page = read("docs/operations.md");
  const sources = filesOf("engine/src/worker").filter((path) =>
    /log\(\s*["'](?:warn|error)["']/u.test(read(path)),
  );
  expect(sources.length).toBeGreaterThan(3);
  const messages = sources
    .flatMap((path) => found(path, /log\(\s*["'](?:warn|error)["'],\s*["'`]([^"'`]+)["'`]/gu))
    .map(fixedPart);
  expect(messages.filter((message) => !page.includes(message))).toEqual([]);
});

test("every option of a worker that tunes it is in operations.md", () => {
  const explained = codeOf("docs/operations.md");
  const [, tuning = ""] =
    /interface WorkerTuning \{(.*?)Accepted for MemFlow/su.exec(read("sdk/src/worker.ts")) ?? [];
  const options = [...tuning.matchAll(/readonly (\w+)\?: number/gu)].map(([, name]) => name ?? "");
  expect(options).not.toEqual([]);
  expect(options.filter((name) => !explained.has(name))).toEqual([]);
});

/** A message that begins with a value is known by what follows it. */
function fixedPart(message: string): string {
  return (
    message
      .split(/\$\{[^}]*\}/u)
      .map((part) => part.trim())
      .find((part) => part !== "") ?? message
  );
}
