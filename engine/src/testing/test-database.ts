/**
 * The Postgres of a test run, and a schema of its own for each test.
 *
 * Promises that no two tests share a schema. Does not start a server: the run's global setup has done so.
 */
import { randomBytes } from "node:crypto";
import { resolveConnection } from "../store/connection-source.ts";
import type { ConnectionSource } from "../store/connection-source.ts";

/** The connection string of the test run's Postgres, as a superuser. */
export function testDatabaseUrl(): string {
  const url = process.env["MEMFLOW_TEST_DATABASE_URL"];
  if (url === undefined) throw new Error("MEMFLOW_TEST_DATABASE_URL is not set; run the tests with vitest");
  return url;
}

/** The same database under another host and port, role or password. */
export function testDatabaseUrlWith(
  changes: Partial<Pick<URL, "host" | "username" | "password" | "pathname">>,
): string {
  return Object.assign(new URL(testDatabaseUrl()), changes).href;
}

/** The test run's Postgres. */
export function testSource(): ConnectionSource {
  return resolveConnection(testDatabaseUrl());
}

/** A name that no other test has, for a schema or a role. */
export function uniqueName(prefix = "memflow_test"): string {
  return `${prefix}_${randomBytes(8).toString("hex")}`;
}
