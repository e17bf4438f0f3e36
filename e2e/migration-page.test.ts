/**
 * The page for those who come from HotMesh: its worked example runs and prints what it says, and so does its SQL.
 */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { Client, MemFlow } from "@memflow/sdk";
import pg from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";

const PROJECT = fileURLToPath(new URL("..", import.meta.url));
const TEST_DATABASE_URL = process.env["MEMFLOW_TEST_DATABASE_URL"] ?? "";
const PAGE = await readFile(new URL("../docs/migrating-from-hotmesh.md", import.meta.url), "utf8");

/** A database of its own: the page uses the default schema. */
const DATABASE = `migration_${randomBytes(8).toString("hex")}`;
const DATABASE_URL = Object.assign(new URL(TEST_DATABASE_URL), { pathname: DATABASE }).href;

async function query(connectionString: string, statement: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    const { rows } = await client.query<Record<string, unknown>>(statement);
    return rows;
  } finally {
    await client.end();
  }
}

beforeEach(async () => void (await query(TEST_DATABASE_URL, `create database ${DATABASE}`)));
afterEach(async () => {
  await MemFlow.shutdown({ graceMs: 0 });
  await query(TEST_DATABASE_URL, `drop database ${DATABASE} with (force)`);
});

/** The last block of a language. */
function block(language: string): string {
  const found = [...PAGE.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\``, "gmu"))].at(-1);
  return found?.[1] ?? expect.fail(`the page has no block of ${language}`);
}

test("the worked example runs and prints what the page says", async () => {
  const child = spawn(process.execPath, ["-C", "source", "--input-type=module-typescript"], {
    cwd: PROJECT,
    env: { ...process.env, DATABASE_URL },
    stdio: ["pipe", "pipe", "inherit"],
  });
  child.stdin.end(block("ts"));
  const [output, [exitCode]] = await Promise.all([text(child.stdout), once(child, "close")]);
  expect(output).toBe(block("json"));
  expect(exitCode).toBe(0);
});

test("a schema with HotMesh's tables is refused and left as it is; after the page's SQL the name is free", async () => {
  await query(
    DATABASE_URL,
    "create schema memflow; create table memflow.jobs (id uuid); create table memflow.events (id int)",
  );
  const tables = `select table_name from information_schema.tables where table_schema = 'memflow' order by 1`;
  const before = await query(DATABASE_URL, tables);
  const start = () =>
    new Client({ connection: DATABASE_URL }).workflow.start({
      taskQueue: "orders",
      workflowName: "placeOrder",
    });
  await expect(start()).rejects.toMatchObject({
    name: "SchemaError",
    code: "SCHEMA_TAKEN",
    schema: "memflow",
  });
  expect(await query(DATABASE_URL, tables)).toEqual(before);
  await query(DATABASE_URL, block("sql"));
  expect((await start()).workflowId).toEqual(expect.any(String));
});
