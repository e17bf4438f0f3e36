/**
 * One real Postgres for a whole vitest run.
 *
 * Uses the server that MEMFLOW_TEST_DATABASE_URL names; without that variable it starts the embedded one in a fresh
 * folder, publishes its URL in the same variable, and removes server and folder at the end. Durability stays on: the
 * crash tests depend on it. It makes no schema: each test makes and drops its own.
 */
import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startEmbeddedPostgres } from "@memflow/cli/embedded-postgres";

const URL_VARIABLE = "MEMFLOW_TEST_DATABASE_URL";

/** Test files run at once, and some hold a connection for each of their simulated workers. */
const CONNECTIONS_MAX = 300;

/** A server that an interrupt stops may still write into the folder while it is removed. */
const REMOVAL_RETRY_MAX = 50;

/** Vitest's global setup: the returned function is its teardown. */
export async function setup(): Promise<() => Promise<void>> {
  if (process.env[URL_VARIABLE]) return async () => {};

  const folder = await mkdtemp(join(tmpdir(), "memflow-test-postgres-"));
  // At exit rather than in the teardown: a run that is interrupted or fails to start leaves nothing behind either.
  process.once("exit", () => rmSync(folder, { recursive: true, force: true, maxRetries: REMOVAL_RETRY_MAX }));
  const server = await startEmbeddedPostgres({
    dataDir: folder,
    settings: { max_connections: CONNECTIONS_MAX },
  });
  process.env[URL_VARIABLE] = server.url;
  return () => server.stop();
}
