/**
 * What the operator costs with a thousand TaskQueues that have nothing to do, against a real API server.
 *
 * It runs as its image runs it. Its process is read where Linux tells of it.
 */
import { readFile } from "node:fs/promises";
import { openIdleCluster, startIdleOperator, writesOf } from "@memflow/e2e/idle";
import type { IdleOperator } from "@memflow/e2e/idle";
import type { Bench } from "../bench.ts";
import { atMost } from "../report.ts";

const QUEUES = 1_000;
const CORES = 0.1;
const RSS_MIB = 256;
const WRITES_PER_SECOND = 1;
/** Linux counts processor time in hundredths of a second. */
const TICKS_PER_SECOND = 100;
/** One every two seconds. */
const RENEWAL_MS = 2_000;

export async function measureIdleOperator(bench: Bench): Promise<void> {
  const { cluster, missing } = await openIdleCluster();
  if (cluster === undefined) {
    bench.report.note(`The idle operator was not measured: ${missing}.`);
    return;
  }
  const cleanups = [() => cluster.stop()];
  const afterwards = (cleanup: () => Promise<void>): void => void cleanups.unshift(cleanup);
  try {
    const database = await bench.server.createDatabase();
    afterwards(() => database.drop());
    const options = { cluster, databaseUrl: database.url, queueCount: QUEUES, afterwards };
    await watch(bench, await startIdleOperator(options));
  } finally {
    for (const cleanUp of cleanups) await cleanUp();
  }
}

async function watch({ effort, report }: Bench, idle: IdleOperator): Promise<void> {
  const before = await cpuSeconds(idle.pid);
  const startedMs = performance.now();
  const counts = await idle.renewals(Math.ceil(effort.idleMs / RENEWAL_MS));
  const seconds = (performance.now() - startedMs) / 1_000;
  const cores = ((await cpuSeconds(idle.pid)) - before) / seconds;
  const { nowMib, mostMib } = await idle.residentMemory();
  const add = (figure: string, unit: string, engine: number, limit?: number): void =>
    report.add({
      workload: `operator, ${QUEUES.toLocaleString("en-US")} idle queues`,
      figure,
      unit,
      engine,
      ...(limit === undefined ? {} : { target: atMost(`<= ${limit}`, engine, limit) }),
    });
  add("CPU", "cores", cores, CORES);
  add("resident memory", "MiB", nowMib, RSS_MIB);
  add("resident memory at most, since its start", "MiB", mostMib);
  add("writes besides its Lease", "1/s", writesOf(counts) / seconds, WRITES_PER_SECOND);
  add("requests to the API server", "1/s", (writesOf(counts) + counts.GET + counts.PUT) / seconds);
}

/** In user and kernel mode; the name, which may have spaces, ends with the last parenthesis. */
async function cpuSeconds(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}
