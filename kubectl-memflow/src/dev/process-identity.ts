/**
 * Who a process is, beyond its number.
 *
 * Numbers are given out again, so a number that was written down means nothing without the time at which its process
 * started. Promises to call a process alive only if it can still run: a zombie counts as gone.
 */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";

/** Enough to recognise a process that was written down earlier. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Opaque: equal for the same process, different for another one with the same number. */
  readonly startedAt: string;
}

const runFile = promisify(execFile);

/** The identity of a running process, or undefined when there is none. */
export async function identifyProcess(pid: number): Promise<ProcessIdentity | undefined> {
  const startedAt = process.platform === "linux" ? await linuxStart(pid) : await posixColumn(pid, "lstart=");
  return startedAt === undefined ? undefined : { pid, startedAt };
}

/** Whether the very process that was written down still runs. */
export async function isSameProcess(identity: ProcessIdentity): Promise<boolean> {
  return (await identifyProcess(identity.pid))?.startedAt === identity.startedAt;
}

/** The command line of a running process with single spaces, or undefined when it is gone or hidden. */
export async function commandLineOf(pid: number): Promise<string | undefined> {
  if (process.platform !== "linux") return posixColumn(pid, "command=");
  const text = await readProc(pid, "cmdline");
  return text === undefined || text === "" ? undefined : text.split("\0").join(" ").trimEnd();
}

async function linuxStart(pid: number): Promise<string | undefined> {
  const text = await readProc(pid, "stat");
  if (text === undefined) return undefined;
  // The name in parentheses may hold spaces and parentheses, the fields after the last one don't.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const [state] = fields;
  if (state === "Z" || state === "X") return undefined;
  return `${await bootId()}:${fields[19] ?? ""}`;
}

async function bootId(): Promise<string> {
  return (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
}

async function readProc(pid: number, file: string): Promise<string | undefined> {
  try {
    return await readFile(`/proc/${pid}/${file}`, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ESRCH" || code === "EACCES") return undefined;
    throw error;
  }
}

async function posixColumn(pid: number, column: string): Promise<string | undefined> {
  try {
    const { stdout } = await runFile("ps", ["-ww", "-o", `stat=,${column}`, "-p", String(pid)]);
    const [state, ...rest] = stdout.trim().split(/\s+/u);
    return state === undefined || state === "" || state.startsWith("Z") ? undefined : rest.join(" ");
  } catch (error) {
    // ps exits with 1 when no process has that number.
    if ((error as { code?: unknown }).code === 1) return undefined;
    throw error;
  }
}
