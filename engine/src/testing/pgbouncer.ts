/**
 * A real PgBouncer before the test run's Postgres, where the machine has one.
 *
 * Promises a process of its own with its files in a temporary folder; it ends with `stop()`. Not installed by us: Debian
 * has it as `pgbouncer`.
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

/** A pooler that runs. */
export interface PgBouncer {
  readonly port: number;
  stop(): Promise<void>;
}

/** How PgBouncer gives backends to clients. */
export type PoolMode = "session" | "transaction";

const START_TRIES_MAX = 100;
const START_PAUSE_MS = 50;

/** The program, or undefined where it is not installed. */
export function findPgBouncer(): string | undefined {
  for (const program of ["pgbouncer", "/usr/sbin/pgbouncer"]) {
    try {
      execFileSync(program, ["--version"], { stdio: "ignore" });
      return program;
    } catch {
      // Not there: the next place.
    }
  }
  return undefined;
}

/** Starts PgBouncer before the database at `databaseUrl`, on a free port, for clients that need no password. */
export async function startPgBouncer(
  program: string,
  databaseUrl: string,
  poolMode: PoolMode,
): Promise<PgBouncer> {
  const folder = await mkdtemp(join(tmpdir(), "memflow-pgbouncer-"));
  const port = await freePort();
  const { hostname, port: serverPort, username, password, pathname } = new URL(databaseUrl);
  const target = `host=${hostname} port=${serverPort || 5432} dbname=${pathname.slice(1)}`;
  const user = `user=${decodeURIComponent(username)} password=${decodeURIComponent(password)}`;
  const config = join(folder, "pgbouncer.ini");
  await writeFile(
    config,
    `[databases]\n* = ${target} ${user}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = ${port}\n` +
      `auth_type = any\npool_mode = ${poolMode}\nunix_socket_dir =\ndefault_pool_size = 5\n`,
  );
  // PgBouncer refuses to run as root, and its other user must read the file.
  await chmod(folder, 0o755);
  const asUser = process.getuid?.() === 0 ? ["-u", "nobody"] : [];
  const child = spawn(program, [...asUser, config], { stdio: ["ignore", "ignore", "pipe"] });
  let output = "";
  child.stderr.on("data", (bytes: Buffer) => (output += bytes.toString()));
  const ended = once(child, "exit");
  const stop = async (): Promise<void> => {
    child.kill("SIGKILL");
    await ended;
    await rm(folder, { recursive: true });
  };
  for (let attempt = 1; !(await answers(port)); attempt += 1) {
    if (attempt === START_TRIES_MAX || child.exitCode !== null) {
      await stop();
      throw new Error(`pgbouncer did not start: ${output}`);
    }
    await delay(START_PAUSE_MS);
  }
  return { port, stop };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
