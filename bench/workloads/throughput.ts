/**
 * Runs, steps and children per second with a fixed number of runs under way, and what each costs.
 */
import type { Bench } from "../bench.ts";
import type { Job } from "../jobs.ts";
import { measure } from "../meter.ts";
import { withPairs } from "../pair.ts";
import type { Pair } from "../pair.ts";
import { atLeast, atMost } from "../report.ts";
import type { Figure } from "../report.ts";
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
  readonly targetCost?: { readonly walBytes: number; readonly transactions?: number };
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
  bench.report.noise(workload.name, cost.othersShare);
  return { load: result, cost };
}

function report(bench: Bench, workload: ThroughputWorkload, samples: Samples): void {
  const { unit, unitsPerRun, targetCost } = workload;
  const units = (sample: Sample): number => sample.load.allRuns * unitsPerRun;
  const add = (figure: Figure, limit?: number): void => {
    const target =
      limit === undefined ? undefined : atMost(`<= ${limit}`, figure.engine ?? Number.NaN, limit);
    bench.report.add({ ...figure, target });
  };
  reportRate(bench, workload, samples);
  const figure = (name: string, unitName: string, value: (sample: Sample) => number): Figure =>
    figureOf({ workload, samples, name, unit: unitName, value });
  add(figure("run latency p50", "ms", ({ load }) => load.p50Ms));
  add(
    figure(`WAL per ${unit}`, "B", (sample) => sample.cost.walBytes / units(sample)),
    targetCost?.walBytes,
  );
  add(
    figure(`transactions per ${unit}`, "1", (sample) => sample.cost.transactions / units(sample)),
    targetCost?.transactions,
  );
  const cpu = (name: string, cpuMs: (cost: Cost) => number | undefined): void =>
    add(
      figure(
        `CPU of ${name} per ${unit}`,
        "us",
        (sample) => ((cpuMs(sample.cost) ?? Number.NaN) * 1_000) / units(sample),
      ),
    );
  cpu("client", ({ processCpuMs }) => processCpuMs[0]);
  cpu("worker", ({ processCpuMs }) => processCpuMs[1]);
  if (bench.server.postmasterPid !== undefined) cpu("Postgres", ({ postgresCpuMs }) => postgresCpuMs);
}

function reportRate(bench: Bench, workload: ThroughputWorkload, samples: Samples): void {
  const { unit, unitsPerRun, targetOfRaw } = workload;
  const name = unit === "child" ? "children" : `${unit}s`;
  const value = ({ load }: Sample): number => (load.runs * unitsPerRun * 1_000) / load.elapsedMs;
  const rate = figureOf({ workload, samples, name, unit: "1/s", value });
  const { raw = Number.NaN, engine = Number.NaN, dbos } = rate;
  const target =
    targetOfRaw === undefined ? undefined : atLeast(`>= ${targetOfRaw} x raw`, engine, raw * targetOfRaw);
  bench.report.add({ ...rate, target });
  if (dbos === undefined) return;
  bench.report.add({
    ...rate,
    figure: `${name} beside DBOS`,
    raw: undefined,
    target: atLeast(`>= ${DBOS_FACTOR} x DBOS`, engine, dbos * DBOS_FACTOR),
  });
}

/** Medians over the repetitions of each subject. */
function figureOf(options: {
  readonly workload: ThroughputWorkload;
  readonly samples: Samples;
  readonly name: string;
  readonly unit: string;
  value(sample: Sample): number;
}): Figure {
  const { workload, samples, name, unit, value } = options;
  const series = {
    raw: samples.raw.map(value),
    engine: samples.engine.map(value),
    dbos: samples.dbos.map(value),
  };
  const middle = (values: readonly number[]): number | undefined =>
    values.length === 0 ? undefined : median(values);
  return {
    workload: workload.name,
    figure: name,
    unit,
    raw: middle(series.raw),
    engine: middle(series.engine),
    dbos: middle(series.dbos),
    samples: series,
  };
}
