/**
 * What work costs: log bytes and writing transactions by Postgres, processor time by process.
 *
 * Both counters of Postgres are the whole server's, so only one thing may be measured at a time. Processor time of
 * Postgres is known where it runs on this machine under Linux; undefined elsewhere.
 */
import { readFile, readdir } from "node:fs/promises";
import type { BenchProcess } from "./bench-process.ts";
import type { BenchServer } from "./server.ts";

/** Counters between two moments. */
export interface Cost {
  readonly walBytes: number;
  /** Transactions that got an id: those that wrote, and those that notified. */
  readonly transactions: number;
  /** Of each process that was given, in order. */
  readonly processCpuMs: readonly number[];
  readonly postgresCpuMs: number | undefined;
  /** Share of the machine that neither the processes nor Postgres used though it was busy, 0 to 1. */
  readonly othersShare: number | undefined;
}

interface Reading {
  readonly wal: string;
  readonly xid: bigint;
  readonly processCpuMs: readonly number[];
  readonly postgresCpuMs: number | undefined;
  readonly machine: Machine | undefined;
}

interface Machine {
  readonly busyMs: number;
  readonly totalMs: number;
}

/** Linux counts processor time in hundredths of a second. */
const TICK_MS = 10;
const READ =
  "select pg_current_wal_insert_lsn()::text as wal, pg_snapshot_xmax(pg_current_snapshot())::text as xid";

/** Measures what `work` costs. */
export async function measure<Result>(
  server: BenchServer,
  processes: readonly BenchProcess[],
  work: () => Promise<Result>,
): Promise<{ readonly result: Result; readonly cost: Cost }> {
  const before = await read(server, processes);
  const result = await work();
  const after = await read(server, processes);
  const [bytes] = await server.query<{ bytes: string }>("select $1::pg_lsn - $2::pg_lsn as bytes", [
    after.wal,
    before.wal,
  ]);
  const postgresCpuMs =
    after.postgresCpuMs === undefined || before.postgresCpuMs === undefined
      ? undefined
      : after.postgresCpuMs - before.postgresCpuMs;
  const processCpuMs = after.processCpuMs.map((ms, index) => ms - (before.processCpuMs[index] ?? ms));
  const oursMs = processCpuMs.reduce((sum, ms) => sum + ms, postgresCpuMs ?? 0);
  return {
    result,
    cost: {
      walBytes: Number(bytes?.bytes),
      transactions: Number(after.xid - before.xid),
      processCpuMs,
      postgresCpuMs,
      othersShare:
        postgresCpuMs === undefined ? undefined : othersShare(before.machine, after.machine, oursMs),
    },
  };
}

async function read(server: BenchServer, processes: readonly BenchProcess[]): Promise<Reading> {
  const [row] = await server.query<{ wal: string; xid: string }>(READ);
  if (row === undefined) throw new Error("Postgres did not say where its log stands");
  const processCpuMs = await Promise.all(processes.map((process) => process.call("cpuMs", null)));
  return {
    wal: row.wal,
    xid: BigInt(row.xid),
    processCpuMs,
    postgresCpuMs: server.postmasterPid === undefined ? undefined : await postgresCpuMs(server.postmasterPid),
    machine: await readMachine(),
  };
}

/** Time of the postmaster, of its children, and of those that ended. */
async function postgresCpuMs(postmasterPid: number): Promise<number | undefined> {
  const own = await readProcess(postmasterPid);
  if (own === undefined) return undefined;
  let ticks = own.ownTicks + own.endedChildrenTicks;
  for (const entry of await readdir("/proc")) {
    const child = /^\d+$/u.test(entry) ? await readProcess(Number(entry)) : undefined;
    if (child?.parent === postmasterPid) ticks += child.ownTicks;
  }
  return ticks * TICK_MS;
}

/** @see https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
async function readProcess(
  pid: number,
): Promise<
  { readonly parent: number; readonly ownTicks: number; readonly endedChildrenTicks: number } | undefined
> {
  const text = await readIfThere(`/proc/${pid}/stat`);
  if (text === undefined) return undefined;
  // The name in brackets may hold blanks; the fields after it are counted from the third.
  const fields = text
    .slice(text.lastIndexOf(")") + 2)
    .split(" ")
    .map(Number);
  const ticks = (field: number): number => fields[field - 3] ?? 0;
  return { parent: ticks(4), ownTicks: ticks(14) + ticks(15), endedChildrenTicks: ticks(16) + ticks(17) };
}

async function readMachine(): Promise<Machine | undefined> {
  const text = await readIfThere("/proc/stat");
  const [user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, softIrq = 0, steal = 0] =
    text?.split("\n")[0]?.split(/\s+/u).slice(1).map(Number) ?? [];
  if (text === undefined) return undefined;
  const busy = user + nice + system + irq + softIrq + steal;
  return { busyMs: busy * TICK_MS, totalMs: (busy + idle + wait) * TICK_MS };
}

function othersShare(
  before: Machine | undefined,
  after: Machine | undefined,
  oursMs: number,
): number | undefined {
  if (before === undefined || after === undefined || after.totalMs === before.totalMs) return undefined;
  return Math.max(0, after.busyMs - before.busyMs - oursMs) / (after.totalMs - before.totalMs);
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ESRCH") return undefined;
    throw error;
  }
}
