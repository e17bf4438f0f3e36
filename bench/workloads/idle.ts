/**
 * What a worker costs that has nothing to do. Its client is closed first.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Bench } from "../bench.ts";
import { measure } from "../meter.ts";
import { withPairs } from "../pair.ts";
import type { Pair } from "../pair.ts";
import { atMost } from "../report.ts";

/** A session tells its counters within a second after it did something, or else within ten. */
const SETTLE_MS = 11_000;
const CPU_PERCENT = 1;
const QUERIES_PER_SECOND = 1;
const COMMITS = "select xact_commit::float8 as commits from pg_stat_database where datname = $1";

export async function measureIdleWorker(bench: Bench): Promise<void> {
  await withPairs(bench.server, ["engine"], async ([engine]) => {
    if (engine === undefined) return;
    const job = { workflow: "steps", count: 10 } as const;
    await engine.client.call("load", { job, outstanding: 10, warmUpMs: 0, windowMs: 1_000 });
    await engine.client.call("close", null);
    // Its transactions would count as queries.
    await bench.server.withoutAutovacuum(() => watchIdle(bench, engine));
  });
}

async function watchIdle({ server, effort, report }: Bench, { worker, database }: Pair): Promise<void> {
  const commits = async (): Promise<number> =>
    (await server.query<{ commits: number }>(COMMITS, [database.name]))[0]?.commits ?? Number.NaN;
  await delay(SETTLE_MS);
  const before = await commits();
  const startedAt = performance.now();
  const { cost } = await measure(server, [worker], () => delay(effort.idleMs));
  const seconds = (performance.now() - startedAt) / 1_000;
  const queries = ((await commits()) - before) / seconds;
  const cpu = (cost.processCpuMs[0] ?? Number.NaN) / 10 / seconds;
  const add = (figure: string, unit: string, engine: number, limit: number): void =>
    report.add({
      workload: "idle worker",
      figure,
      unit,
      engine,
      target: atMost(`<= ${limit}`, engine, limit),
    });
  add("CPU", "% of a core", cpu, CPU_PERCENT);
  add("queries", "1/s", queries, QUERIES_PER_SECOND);
  report.add({ workload: "idle worker", figure: "WAL", unit: "B/s", engine: cost.walBytes / seconds });
}
