/**
 * What a worker costs that has nothing to do. Its client is closed first.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Bench } from "../bench.ts";
import { measure } from "../meter.ts";
import { withPairs } from "../pair.ts";
import { atMost } from "../report.ts";

/** A session tells its counters within a second after it did something, or else within ten. */
const SETTLE_MS = 11_000;
const CPU_PERCENT = 1;
const QUERIES_PER_SECOND = 1;
const COMMITS = "select xact_commit::float8 as commits from pg_stat_database where datname = $1";

export async function measureIdleWorker(bench: Bench): Promise<void> {
  const { server, effort, report } = bench;
  await withPairs(server, ["engine"], async ([engine]) => {
    if (engine === undefined) return;
    const { client, worker, database } = engine;
    await client.call("load", {
      job: { workflow: "steps", count: 10 },
      outstanding: 10,
      warmUpMs: 0,
      windowMs: 1_000,
    });
    await client.call("close", null);
    // Autovacuum's transactions would count as queries: now it finds nothing to do.
    await database.execute("vacuum analyze");
    await delay(SETTLE_MS);
    const commits = async (): Promise<number> =>
      (await server.query<{ commits: number }>(COMMITS, [database.name]))[0]?.commits ?? Number.NaN;
    const before = await commits();
    const startedAt = performance.now();
    const { cost } = await measure(server, [worker], () => delay(effort.idleMs));
    const seconds = (performance.now() - startedAt) / 1_000;
    const queries = ((await commits()) - before) / seconds;
    const cpu = (cost.processCpuMs[0] ?? Number.NaN) / 10 / seconds;
    const workload = "idle worker";
    report.add({
      workload,
      figure: "CPU",
      unit: "% of a core",
      engine: cpu,
      target: atMost(`~0: <= ${CPU_PERCENT}`, cpu, CPU_PERCENT),
    });
    report.add({
      workload,
      figure: "queries",
      unit: "1/s",
      engine: queries,
      target: atMost(`<= ${QUERIES_PER_SECOND}`, queries, QUERIES_PER_SECOND),
    });
    report.add({ workload, figure: "WAL", unit: "B/s", engine: cost.walBytes / seconds });
  });
}
