/**
 * The README's first workflow, as its readers copy it.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";

const PROJECT = fileURLToPath(new URL("..", import.meta.url));
const TEST_DATABASE_URL = process.env["MEMFLOW_TEST_DATABASE_URL"] ?? "";

/** A database of its own: the example uses the default schema. */
const DATABASE = `readme_${randomBytes(8).toString("hex")}`;

async function administrate(statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: TEST_DATABASE_URL });
  await client.connect();
  await client.query(statement);
  await client.end();
}

beforeEach(() => administrate(`create database ${DATABASE}`));
afterEach(() => administrate(`drop database ${DATABASE} with (force)`));

test("the first workflow runs as it is written and prints its receipt", async () => {
  const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
  const code = /```ts\n([^]*?)```/u.exec(readme)?.[1] ?? expect.fail("the README has no TypeScript");
  const child = spawn(process.execPath, ["-C", "source", "--input-type=module-typescript"], {
    cwd: PROJECT,
    env: {
      ...process.env,
      DATABASE_URL: Object.assign(new URL(TEST_DATABASE_URL), { pathname: DATABASE }).href,
    },
    stdio: ["pipe", "pipe", "inherit"],
  });
  child.stdin.end(code);
  const [output, [exitCode]] = await Promise.all([text(child.stdout), once(child, "close")]);
  expect(output).toMatch(/^charging order-17\nreceipt-\d+\n$/u);
  expect(exitCode).toBe(0);
});
