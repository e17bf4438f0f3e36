/**
 * Where a `memflow dev` says that its gateway is: a file in its data folder, for commands that are called in the folder above.
 *
 * Promises that a file whose process is gone counts for nothing.
 */
import { readFile } from "node:fs/promises";
import path from "node:path";
import type { DevServer } from "./gateway-target.ts";

/** The data folder that `memflow dev` uses unless it is told otherwise. */
const DATA_FOLDER = ".memflow";
const FILE = "gateway.json";

interface DevServerFile extends DevServer {
  readonly pid: number;
}

/** The one of a folder, when it runs. */
export async function findDevServer(folder: string): Promise<DevServer | undefined> {
  const text = await readFile(path.join(folder, DATA_FOLDER, FILE), "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const file = parse(text);
  return file !== undefined && isAlive(file.pid) ? { server: file.server } : undefined;
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
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
