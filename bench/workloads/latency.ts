/**
 * One run at a time: how long a start takes to its result, and a step to the next.
 */
import type { Bench } from "../bench.ts";
import { withPairs } from "../pair.ts";
import type { Pair } from "../pair.ts";
import { atMost } from "../report.ts";
import { intervals, median, percentile } from "../statistics.ts";
import type { SubjectName } from "../subject.ts";

interface Sample {
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const IDLE_P50_MS = 4;
/** The engine's own part of a step beyond its commit. */
const STEP_OWN_MS = 0.5;
const LONE_STEPS = 300;
const NO_LIMIT_MS = 600_000;

/** Start to result with nothing else going on. */
export async function measureIdleLatency(bench: Bench): Promise<void> {
  const measureOnce = async ({ client }: Pair): Promise<Sample> =>
    await client.call("load", {
      job: { workflow: "noOp", count: 0 },
      outstanding: 1,
      warmUpMs: 0,
      windowMs: NO_LIMIT_MS,
      runsMax: bench.effort.latencyRuns,
    });
  const { raw, engine } = await takeTurns(bench, measureOnce);
  const workload = "idle latency";
  bench.report.add({
    workload,
    figure: "start to result p50",
    unit: "ms",
    raw: raw.p50Ms,
    engine: engine.p50Ms,
    target: atMost("<= 2 x raw", engine.p50Ms, 2 * raw.p50Ms),
  });
  bench.report.add({
    workload,
    figure: "start to result p50, absolute",
    unit: "ms",
    engine: engine.p50Ms,
    target: atMost(`<= ${IDLE_P50_MS} ms`, engine.p50Ms, IDLE_P50_MS),
  });
  bench.report.add({
    workload,
    figure: "start to result p99",
    unit: "ms",
    raw: raw.p99Ms,
    engine: engine.p99Ms,
  });
}

/** From one step of a lone run to its next: one commit and what the engine adds. */
export async function measureStepLatency(bench: Bench): Promise<void> {
  const measureOnce = async ({ client, worker }: Pair): Promise<Sample> => {
    await client.call("load", {
      job: { workflow: "steps", count: LONE_STEPS },
      outstanding: 1,
      warmUpMs: 0,
      windowMs: NO_LIMIT_MS,
      runsMax: 1,
    });
    const steps = intervals(await worker.call("stepTimes", null));
    return { p50Ms: percentile(steps, 0.5), p99Ms: percentile(steps, 0.99) };
  };
  const { raw, engine } = await takeTurns(bench, measureOnce);
  const workload = "lone run";
  bench.report.add({
    workload,
    figure: "step p50",
    unit: "ms",
    raw: raw.p50Ms,
    engine: engine.p50Ms,
    target: atMost(`<= raw + ${STEP_OWN_MS} ms`, engine.p50Ms, raw.p50Ms + STEP_OWN_MS),
  });
  bench.report.add({ workload, figure: "step p99", unit: "ms", raw: raw.p99Ms, engine: engine.p99Ms });
}

/** Medians over the repetitions of both subjects, one after the other; the first of each is not counted. */
async function takeTurns(
  bench: Bench,
  measureOnce: (pair: Pair) => Promise<Sample>,
): Promise<{ readonly raw: Sample; readonly engine: Sample }> {
  const samples: Record<SubjectName, Sample[]> = { raw: [], engine: [], dbos: [] };
  await withPairs(bench.server, ["raw", "engine"], async (pairs) => {
    for (let repetition = 0; repetition <= bench.effort.repetitions; repetition += 1) {
      for (const pair of pairs) {
        const sample = await measureOnce(pair);
        if (repetition > 0) samples[pair.subject].push(sample);
      }
    }
  });
  const middle = (list: readonly Sample[]): Sample => ({
    p50Ms: median(list.map(({ p50Ms }) => p50Ms)),
    p99Ms: median(list.map(({ p99Ms }) => p99Ms)),
  });
  return { raw: middle(samples.raw), engine: middle(samples.engine) };
}
