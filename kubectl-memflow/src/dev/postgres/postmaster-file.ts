/**
 * `postmaster.pid`: what a Postgres server writes into its data folder about itself.
 *
 * The lines are number, data folder, start time, port, socket folder, listen address, shared memory key and status.
 * Promises to tell a server of this folder from a stale file whose number another process got in the meantime.
 */
import { readFile, rm } from "node:fs/promises";
import path from "node:path";

import { commandLineOf, identifyProcess } from "../process-identity.ts";

/** What the file says; `status` is empty while the server is just beginning. */
export interface PostmasterFile {
  readonly pid: number;
  readonly port: number;
  readonly status: "" | "starting" | "stopping" | "ready" | "standby";
}

/** Reads the lines; undefined when the file is not complete enough to name a process. */
export function parsePostmasterFile(text: string): PostmasterFile | undefined {
  const lines = text.split("\n").map((line) => line.trim());
  const pid = Number(lines[0]);
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  const status =
    (["starting", "stopping", "ready", "standby"] as const).find((known) => known === lines[7]) ?? "";
  return { pid, port: Number(lines[3] ?? 0), status };
}

/** What the folder's file says, whether or not that server still runs. */
export async function readPostmasterFile(clusterDir: string): Promise<PostmasterFile | undefined> {
  try {
    return parsePostmasterFile(await readFile(path.join(clusterDir, "postmaster.pid"), "utf8"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/**
 * The server that runs on the folder now.
 *
 * A file left behind by a server that died is removed when its number belongs to another program by now: Postgres
 * itself would take that program for the server and refuse to start.
 */
export async function findRunningServer(clusterDir: string): Promise<PostmasterFile | undefined> {
  const file = await readPostmasterFile(clusterDir);
  if (file === undefined || (await identifyProcess(file.pid)) === undefined) return undefined;
  const commandLine = await commandLineOf(file.pid);
  if (commandLine === undefined || commandLine.includes(`-D ${clusterDir}`)) return file;
  await rm(path.join(clusterDir, "postmaster.pid"), { force: true });
  return undefined;
}
