/**
 * Runs, steps and children per second with a fixed number of runs under way, and what each costs.
 */
import type { Bench } from "../bench.ts";
import type { Job } from "../jobs.ts";
import { measure } from "../meter.ts";
import { withPairs } from "../pair.ts";
import type { Pair } from "../pair.ts";
import { atLeast, atMost } from "../report.ts";
import type { LoadResult } from "../process-calls.ts";
import type { Cost } from "../meter.ts";
import { median } from "../statistics.ts";
import type { SubjectName } from "../subject.ts";

/** A throughput workload. */
export interface ThroughputWorkload {
  readonly name: string;
  readonly job: Job;
  readonly outstanding: number;
  /** What is counted, and how many of it one run is. */
  readonly unit: "run" | "step" | "child";
  readonly unitsPerRun: number;
  /** Measure DBOS too, and judge the engine by it. */
  readonly withDbos?: boolean;
  /** Judge the engine by the raw loop. */
  readonly targetOfRaw?: number;
  /** Judge log bytes and transactions. */
  readonly targetCost?: { readonly walBytes: number; readonly transactions: number };
}

interface Sample {
  readonly load: LoadResult;
  readonly cost: Cost;
}

type Samples = Readonly<Record<SubjectName, readonly Sample[]>>;

/** The engine is to be this many times as fast as DBOS. */
const DBOS_FACTOR = 20;

export async function measureThroughput(bench: Bench, workload: ThroughputWorkload): Promise<void> {
  const subjects: SubjectName[] = ["raw", "engine"];
  if (workload.withDbos === true && bench.dbos) subjects.push("dbos");
  const samples: Record<SubjectName, Sample[]> = { raw: [], engine: [], dbos: [] };
  await withPairs(bench.server, subjects, async (pairs) => {
    for (let repetition = 0; repetition <= bench.effort.repetitions; repetition += 1) {
      for (const pair of pairs) {
        const sample = await measureOnce(bench, workload, pair);
        // The first of each is for the compilers and caches.
        if (repetition > 0) samples[pair.subject].push(sample);
      }
    }
  });
  report(bench, workload, samples);
}

async function measureOnce(bench: Bench, workload: ThroughputWorkload, pair: Pair): Promise<Sample> {
  const { warmUpMs, windowMs } = bench.effort;
  const { job, outstanding } = workload;
  const { result, cost } = await measure(bench.server, pair.processes, () =>
    pair.client.call("load", { job, outstanding, warmUpMs, windowMs }),
  );
  await pair.worker.call("stepTimes", null);
  bench.report.noise(cost.othersShare);
  return { load: result, cost };
}

function report(bench: Bench, workload: ThroughputWorkload, samples: Samples): void {
  const { name, unit, unitsPerRun, targetOfRaw, targetCost } = workload;
  const figure = (figureName: string, unitName: string, value: (sample: Sample) => number) => {
    const of = (subject: SubjectName): number | undefined =>
      samples[subject].length === 0 ? undefined : median(samples[subject].map(value));
    const values = { raw: of("raw"), engine: of("engine"), dbos: of("dbos") };
    const series = Object.fromEntries(
      Object.entries(samples).map(([subject, list]) => [subject, list.map(value)]),
    );
    return { workload: name, figure: figureName, unit: unitName, ...values, samples: series };
  };
  const units = (sample: Sample): number => sample.load.allRuns * unitsPerRun;
  const plural = unit === "child" ? "children" : `${unit}s`;
  const rate = figure(plural, "1/s", ({ load }) => (load.runs * unitsPerRun * 1_000) / load.elapsedMs);
  const { raw = Number.NaN, engine = Number.NaN, dbos } = rate;
  bench.report.add({
    ...rate,
    target:
      targetOfRaw === undefined ? undefined : atLeast(`>= ${targetOfRaw} x raw`, engine, raw * targetOfRaw),
  });
  if (dbos !== undefined) {
    bench.report.add({
      ...rate,
      figure: `${plural} beside DBOS`,
      raw: undefined,
      target: atLeast(`>= ${DBOS_FACTOR} x DBOS`, engine, dbos * DBOS_FACTOR),
    });
  }
  bench.report.add(figure("run latency p50", "ms", ({ load }) => load.p50Ms));
  const wal = figure(`WAL per ${unit}`, "B", (sample) => sample.cost.walBytes / units(sample));
  const transactions = figure(
    `transactions per ${unit}`,
    "1",
    (sample) => sample.cost.transactions / units(sample),
  );
  bench.report.add({
    ...wal,
    target: targetCost && atMost(`<= ${targetCost.walBytes}`, wal.engine ?? Number.NaN, targetCost.walBytes),
  });
  bench.report.add({
    ...transactions,
    target:
      targetCost &&
      atMost(`<= ${targetCost.transactions}`, transactions.engine ?? Number.NaN, targetCost.transactions),
  });
  bench.report.add(
    figure(
      `CPU of client and worker per ${unit}`,
      "us",
      (sample) => (sample.cost.processCpuMs * 1_000) / units(sample),
    ),
  );
  if (samples.engine[0]?.cost.postgresCpuMs === undefined) return;
  bench.report.add(
    figure(
      `CPU of Postgres per ${unit}`,
      "us",
      (sample) => ((sample.cost.postgresCpuMs ?? Number.NaN) * 1_000) / units(sample),
    ),
  );
}
