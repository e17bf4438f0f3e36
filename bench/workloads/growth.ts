/**
 * Whether a step of a long run costs more than its first ones did.
 */
import type { Bench } from "../bench.ts";
import { withPairs } from "../pair.ts";
import type { Pair } from "../pair.ts";
import { atMost } from "../report.ts";
import { intervals, median } from "../statistics.ts";

/** Steps at each end that are compared. */
const EDGE_STEPS = 500;
const WARM_UP_STEPS = 1_000;
const GROWTH_MAX = 1.2;
const NO_LIMIT_MS = 600_000;

export async function measureGrowth(bench: Bench): Promise<void> {
  const { growthSteps } = bench.effort;
  await withPairs(bench.server, ["raw", "engine"], async ([raw, engine]) => {
    if (raw === undefined || engine === undefined) return;
    const rawSteps = await timeSteps(raw, growthSteps);
    const engineSteps = await timeSteps(engine, growthSteps);
    const workload = `${growthSteps.toLocaleString("en-US")} steps in one run`;
    for (const edge of ["first", "last"] as const) {
      bench.report.add({
        workload,
        figure: `step, ${edge} ${EDGE_STEPS}, p50`,
        unit: "ms",
        raw: rawSteps[edge],
        engine: engineSteps[edge],
      });
    }
    const growth = engineSteps.last / engineSteps.first;
    bench.report.add({
      workload,
      figure: "growth, last / first",
      unit: "1",
      raw: rawSteps.last / rawSteps.first,
      engine: growth,
      target: atMost(`flat: <= ${GROWTH_MAX}`, growth, GROWTH_MAX),
    });
  });
}

async function timeSteps(
  { client, worker }: Pair,
  growthSteps: number,
): Promise<{ readonly first: number; readonly last: number }> {
  for (const count of [WARM_UP_STEPS, growthSteps]) {
    await worker.call("stepTimes", null);
    await client.call("load", {
      job: { workflow: "steps", count },
      outstanding: 1,
      warmUpMs: 0,
      windowMs: NO_LIMIT_MS,
      runsMax: 1,
    });
  }
  const steps = intervals(await worker.call("stepTimes", null));
  return { first: median(steps.slice(0, EDGE_STEPS)), last: median(steps.slice(-EDGE_STEPS)) };
}
