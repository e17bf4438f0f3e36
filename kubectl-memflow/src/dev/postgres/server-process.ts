/**
 * The Postgres server as an operating-system process: begun, waited for, watched, stopped.
 *
 * It runs in a session of its own, so a Ctrl-C in the terminal reaches only the process that looks after it, which
 * then stops it in order. Promises that a normal exit of this process takes the server along; only a kill leaves it.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { open } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";

import { identifyProcess, isSameProcess } from "../process-identity.ts";
import type { ProcessIdentity } from "../process-identity.ts";
import { EmbeddedPostgresError } from "./embedded-postgres-error.ts";
import { LOOPBACK } from "./free-port.ts";
import { postgresEnvironment } from "./postgres-environment.ts";
import { findRunningServer, readPostmasterFile } from "./postmaster-file.ts";
import type { PostmasterFile } from "./postmaster-file.ts";
import type { SystemUser } from "./run-as-user.ts";

/** A server that was begun here or found running. */
export interface ServerProcess {
  readonly pid: number;
  /** Resolves when the process is gone. */
  readonly exited: Promise<void>;
  /** Lets it go on without this process. */
  abandon(): void;
}

/** What a server is begun with. */
export interface ServerCommand {
  readonly program: string;
  readonly cluster: string;
  readonly port: number;
  readonly logFile: string;
  readonly runAs: SystemUser | undefined;
  readonly settings: Readonly<Record<string, string | number>>;
}

/** Crash recovery after a kill may take its time. */
const READY_TIMEOUT_MS = 120_000;
const POLL_MS = 20;
const WATCH_MS = 250;
const FAST_STOP_MS = 30_000;
const IMMEDIATE_STOP_MS = 10_000;

/** Begins a server; it is not ready yet. */
export async function spawnServer(command: ServerCommand): Promise<ServerProcess> {
  const log = await open(command.logFile, "a", 0o600);
  try {
    const child = spawn(command.program, serverArguments(command), {
      cwd: "/",
      env: postgresEnvironment(),
      detached: true,
      stdio: ["ignore", log.fd, log.fd],
      ...(command.runAs === undefined ? {} : { uid: command.runAs.uid, gid: command.runAs.gid }),
    });
    await once(child, "spawn");
    const pid = child.pid as number;
    const stopAtExit = (): void => signal(pid, "SIGINT");
    process.once("exit", stopAtExit);
    const exited = once(child, "exit").then(() => void process.off("exit", stopAtExit));
    const abandon = (): void => {
      process.off("exit", stopAtExit);
      child.unref();
    };
    return { pid, exited, abandon };
  } catch (cause) {
    throw new EmbeddedPostgresError("EMBEDDED_POSTGRES_FAILED", {
      message: spawnMessage(command, cause),
      cause,
    });
  } finally {
    await log.close();
  }
}

/** Watches a server that another process began. */
export async function watchServer(pid: number): Promise<ServerProcess> {
  const identity = await identifyProcess(pid);
  const stopAtExit = (): void => signal(pid, "SIGINT");
  process.once("exit", stopAtExit);
  const exited = (identity === undefined ? Promise.resolve() : goneAfter(identity)).then(
    () => void process.off("exit", stopAtExit),
  );
  return { pid, exited, abandon: () => void process.off("exit", stopAtExit) };
}

/**
 * Waits until the server of a cluster takes connections.
 *
 * @returns What it says about itself, or undefined when no server runs there (any more).
 */
export async function waitUntilReady(
  cluster: string,
  server?: ServerProcess,
): Promise<PostmasterFile | undefined> {
  let gone = false;
  void server?.exited.then(() => (gone = true));
  const deadline = performance.now() + READY_TIMEOUT_MS;
  while (performance.now() < deadline) {
    const file = server === undefined ? await findRunningServer(cluster) : await readPostmasterFile(cluster);
    if (file?.status === "ready" && (server === undefined || file.pid === server.pid)) return file;
    if (gone || (server === undefined && file === undefined)) return undefined;
    await delay(POLL_MS);
  }
  throw new EmbeddedPostgresError("EMBEDDED_POSTGRES_FAILED", {
    message: `the server on "${cluster}" is not ready after ${READY_TIMEOUT_MS} ms: look into postgres.log beside it`,
  });
}

/** Stops a server: with its sessions cut (fast), then without a last checkpoint; the data is safe either way. */
export async function stopServer(server: ServerProcess): Promise<void> {
  const steps = [
    { name: "SIGINT", waitMs: FAST_STOP_MS },
    { name: "SIGQUIT", waitMs: IMMEDIATE_STOP_MS },
    { name: "SIGKILL", waitMs: IMMEDIATE_STOP_MS },
  ] as const;
  for (const step of steps) {
    signal(server.pid, step.name);
    if (await isWithin(server.exited, step.waitMs)) return;
  }
  throw new EmbeddedPostgresError("EMBEDDED_POSTGRES_FAILED", {
    message: `the server with process id ${server.pid} does not stop: end it by hand`,
  });
}

function serverArguments(command: ServerCommand): string[] {
  const settings = {
    ...command.settings,
    listen_addresses: LOOPBACK,
    // No socket file: it would need a folder with a short name that both users may enter.
    unix_socket_directories: "",
    port: command.port,
  };
  return [
    "-D",
    command.cluster,
    ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
  ];
}

function spawnMessage(command: ServerCommand, cause: unknown): string {
  const { code } = cause as NodeJS.ErrnoException;
  const own = "or set DATABASE_URL to a Postgres of yours";
  if (code === "EPERM" || code === "EINVAL") {
    return `this root may not start a process as user "${command.runAs?.name ?? ""}": run as a plain user, ${own}`;
  }
  if (code === "ENOENT") {
    return `"${command.program}" can't be run here: it needs glibc (Alpine has musl); use another system, ${own}`;
  }
  return `"${command.program}" can't be run: ${String(cause)}; ${own}`;
}

async function goneAfter(identity: ProcessIdentity): Promise<void> {
  while (await isSameProcess(identity)) await delay(WATCH_MS, undefined, { ref: false });
}

async function isWithin(event: Promise<void>, waitMs: number): Promise<boolean> {
  const timer = new AbortController();
  const timeout = delay(waitMs, false, { signal: timer.signal }).catch(() => false);
  const happened = await Promise.race([event.then(() => true), timeout]);
  timer.abort();
  return happened;
}

/** A process that is gone already needs no signal. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
