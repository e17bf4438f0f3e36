/**
 * A real Postgres from npm that lives in a folder: started, adopted when it was left running, stopped.
 *
 * Promises: it works as root and as a plain user; it listens on the loopback address alone, with a random password;
 * data stays and nothing acknowledged is lost when everything is killed (fsync is on); of several starts on one
 * folder one looks after the server and the others get its address in a typed error. It makes no unix socket, adds no
 * user and touches no other server. It does not upgrade a folder made by another major version of Postgres.
 */
import { open, readFile, stat, writeFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";

import { locateBinaries, prepareBinaries } from "./postgres/binaries.ts";
import {
  DATABASE_USER,
  dataFolderAt,
  ensurePassword,
  makeDataFolder,
  resolveCluster,
  rotateLog,
} from "./postgres/data-folder.ts";
import type { DataFolder } from "./postgres/data-folder.ts";
import { EmbeddedPostgresError } from "./postgres/embedded-postgres-error.ts";
import { LOOPBACK, findFreePort } from "./postgres/free-port.ts";
import { initialiseCluster } from "./postgres/initialise-cluster.ts";
import { canEnter, chooseRunAsUser } from "./postgres/run-as-user.ts";
import type { SystemUser } from "./postgres/run-as-user.ts";
import { spawnServer, stopServer, waitUntilReady, watchServer } from "./postgres/server-process.ts";
import type { ServerProcess } from "./postgres/server-process.ts";
import { supervise } from "./postgres/supervision.ts";
import type { Supervision } from "./postgres/supervision.ts";

export { EmbeddedPostgresError } from "./postgres/embedded-postgres-error.ts";
export type { EmbeddedPostgresErrorCode } from "./postgres/embedded-postgres-error.ts";

/** How to start. */
export interface EmbeddedPostgresOptions {
  /** Made when missing; holds everything, see `postgres/data-folder.ts`. */
  readonly dataDir: string;
  /** Wanted port; another one is taken when it is not free. Default: the port of the last start, else any. */
  readonly port?: number;
  /** Server settings, as in postgresql.conf: `{ max_connections: 300 }`. */
  readonly settings?: Readonly<Record<string, string | number>>;
}

/** A running server that this process looks after. */
export interface EmbeddedPostgres {
  /** For `pg`, with user and password. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** True when the server ran already, left behind by a process that was killed. */
  readonly adopted: boolean;
  /** Resolves when the server is gone, asked or not. */
  readonly exited: Promise<void>;
  /** Stops the server and keeps the data. May be called more than once. */
  stop(): Promise<void>;
}

/** What one start knows. */
interface Launch {
  readonly folder: DataFolder;
  readonly cluster: string;
  readonly program: string;
  readonly runAs: SystemUser | undefined;
  readonly password: string;
  readonly options: EmbeddedPostgresOptions;
}

const SUPERVISOR_LOCK = "memflow:embedded-postgres";
const START_ATTEMPT_MAX = 40;
const START_RETRY_MS = 250;
const LOG_TAIL_BYTES = 4_096;

/** Reasons in the server's log that another try can overcome. */
const PASSING_FAILURE = new RegExp(
  [
    "Address already in use", // The port was taken since it was found free.
    'lock file "postmaster.pid" already exists', // Another start was quicker; its server is adopted next.
    "pre-existing shared memory block", // Children of a killed server are still going.
  ].join("|"),
  "u",
);

/**
 * Starts the Postgres of a folder, or adopts the one that a killed process left running there.
 *
 * @returns The running server, ready for connections.
 * @throws {EmbeddedPostgresError} EMBEDDED_POSTGRES_IN_USE, with `url` and `port`, when a living process looks after
 *   it; the other codes name what is missing and the remedy.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const launch = await prepareLaunch(options);
  for (let attempt = 1; attempt <= START_ATTEMPT_MAX; attempt += 1) {
    const server = (await adoptRunning(launch)) ?? (await startNew(launch));
    if (server !== undefined) return server;
    await delay(START_RETRY_MS);
  }
  throw new EmbeddedPostgresError("EMBEDDED_POSTGRES_FAILED", {
    message:
      `no server could be started on "${launch.cluster}" in ${START_ATTEMPT_MAX} tries, ` +
      `the last words of "${launch.folder.logFile}": ${await readLogFrom(launch.folder.logFile, 0)}`,
  });
}

async function prepareLaunch(options: EmbeddedPostgresOptions): Promise<Launch> {
  const installed = await locateBinaries();
  const folder = dataFolderAt(options.dataDir);
  const runAs = await chooseRunAsUser(folder.clusterLink);
  const binaries = await prepareBinaries(installed, runAs);
  await makeDataFolder(folder, runAs);
  const password = await ensurePassword(folder);
  const cluster =
    (await resolveCluster(folder)) ??
    (await initialiseCluster(folder, { initdb: binaries.initdb, password, runAs }));
  if (runAs !== undefined && !(await canEnter(cluster, runAs))) {
    throw new EmbeddedPostgresError("EMBEDDED_POSTGRES_FOREIGN_DATA", {
      message:
        `user "${runAs.name}", who runs the database in "${cluster}", can't enter that folder (any more): ` +
        `move it to where it was made, or choose another data folder`,
    });
  }
  return { folder, cluster, program: binaries.postgres, runAs, password, options };
}

/** Becomes the supervisor of a server that runs already; undefined when none does. */
async function adoptRunning(launch: Launch): Promise<EmbeddedPostgres | undefined> {
  const file = await waitUntilReady(launch.cluster);
  if (file === undefined) return undefined;
  const url = urlOf(launch, file.port);
  const supervision = await superviseServer(launch, url);
  if (supervision === undefined) throw inUse(launch, file.port);
  return supervisedServer({
    url,
    port: file.port,
    adopted: true,
    supervision,
    server: await watchServer(file.pid),
  });
}

/** Starts a server of our own; undefined when the reason of its failure may pass. */
async function startNew(launch: Launch): Promise<EmbeddedPostgres | undefined> {
  const { folder, options } = launch;
  await rotateLog(folder);
  const logStart = await sizeOf(folder.logFile);
  const port = await findFreePort(options.port ?? (await readLastPort(folder)));
  const server = await spawnServer({
    program: launch.program,
    cluster: launch.cluster,
    port,
    logFile: folder.logFile,
    runAs: launch.runAs,
    settings: options.settings ?? {},
  });
  if ((await waitUntilReady(launch.cluster, server)) === undefined) {
    const said = await readLogFrom(folder.logFile, logStart);
    if (PASSING_FAILURE.test(said)) return undefined;
    throw new EmbeddedPostgresError("EMBEDDED_POSTGRES_FAILED", {
      message: `the server on "${launch.cluster}" did not start: ${said}`,
    });
  }
  await writeFile(folder.portFile, `${port}\n`);
  const url = urlOf(launch, port);
  const supervision = await superviseServer(launch, url);
  if (supervision === undefined) {
    // Another start took the lock between; from now on it looks after this server.
    server.abandon();
    throw inUse(launch, port);
  }
  return supervisedServer({ url, port, adopted: false, supervision, server });
}

async function superviseServer(launch: Launch, url: string): Promise<Supervision | undefined> {
  try {
    return await supervise(url, SUPERVISOR_LOCK);
  } catch (cause) {
    throw new EmbeddedPostgresError("EMBEDDED_POSTGRES_FAILED", {
      message:
        `the server on "${launch.cluster}" runs but refuses user "${DATABASE_USER}" with the password in ` +
        `"${launch.folder.passwordFile}": ${String(cause)}`,
      cause,
    });
  }
}

function supervisedServer(parts: {
  readonly url: string;
  readonly port: number;
  readonly adopted: boolean;
  readonly supervision: Supervision;
  readonly server: ServerProcess;
}): EmbeddedPostgres {
  const { url, port, adopted, supervision, server } = parts;
  let stopping: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    await supervision.release();
    await stopServer(server);
  };
  const exited = server.exited.then(() => supervision.release());
  return { url, port, pid: server.pid, adopted, exited, stop: () => (stopping ??= stop()) };
}

function inUse(launch: Launch, port: number): EmbeddedPostgresError {
  return new EmbeddedPostgresError("EMBEDDED_POSTGRES_IN_USE", {
    message:
      `the database in "${launch.folder.dataDir}" is in use by a running process (port ${port}): ` +
      `connect to it, or stop that process first`,
    url: urlOf(launch, port),
    port,
  });
}

function urlOf(launch: Launch, port: number): string {
  return `postgres://${DATABASE_USER}:${launch.password}@${LOOPBACK}:${port}/postgres`;
}

async function readLastPort(folder: DataFolder): Promise<number | undefined> {
  try {
    const port = Number(await readFile(folder.portFile, "utf8"));
    return Number.isInteger(port) && port > 0 && port < 65_536 ? port : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return 0;
    throw error;
  }
}

/** The end of what the server said since `start`, as one line. */
async function readLogFrom(logFile: string, start: number): Promise<string> {
  const handle = await open(logFile, "r");
  try {
    const { size } = await handle.stat();
    const from = Math.max(start, size - LOG_TAIL_BYTES);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(LOG_TAIL_BYTES), 0, LOG_TAIL_BYTES, from);
    return buffer.subarray(0, bytesRead).toString("utf8").trim().split("\n").join(" | ");
  } finally {
    await handle.close();
  }
}
