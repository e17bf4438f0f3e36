/**
 * Where a `memflow dev` says that its gateway is: a file in its data folder, for commands that are called in the folder above.
 *
 * Promises that a file whose process is gone counts for nothing.
 */
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import type { DevServer } from "./gateway-target.ts";

/** The data folder that `memflow dev` uses unless it is told otherwise. */
const DATA_FOLDER = ".memflow";
const FILE = "gateway.json";
/** In place of the process id of one that has ended. */
const NOBODY = 0;

interface DevServerFile extends DevServer {
  readonly pid: number;
}

/** The one of a folder, when it runs. */
export async function findDevServer(folder: string): Promise<DevServer | undefined> {
  const file = await readDevServer(path.join(folder, DATA_FOLDER));
  return file !== undefined && isAlive(file.pid) ? { server: file.server } : undefined;
}

/** Where the last one of a data folder was, running or not: its address is worth having again. */
export async function lastDevServer(dataDir: string): Promise<DevServer | undefined> {
  return readDevServer(dataDir);
}

/** Says in a data folder where this process's gateway is. */
export async function announceDevServer(dataDir: string, server: string): Promise<void> {
  await write(dataDir, { server, pid: process.pid });
}

/** Takes it back; where it was is kept. */
export async function withdrawDevServer(dataDir: string): Promise<void> {
  const file = await readDevServer(dataDir);
  if (file?.pid === process.pid) await write(dataDir, { ...file, pid: NOBODY });
}

async function readDevServer(dataDir: string): Promise<DevServerFile | undefined> {
  const text = await readFile(path.join(dataDir, FILE), "utf8").catch(() => undefined);
  return text === undefined ? undefined : parse(text);
}

async function write(dataDir: string, file: DevServerFile): Promise<void> {
  await writeFile(path.join(dataDir, FILE), `${JSON.stringify(file)}\n`);
}

/** A file that was cut off by a crash says nothing. */
function parse(text: string): DevServerFile | undefined {
  try {
    const { server, pid } = JSON.parse(text) as Partial<DevServerFile>;
    return typeof server === "string" && typeof pid === "number" ? { server, pid } : undefined;
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  if (pid === NOBODY) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
