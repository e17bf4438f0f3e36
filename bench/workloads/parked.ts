/**
 * What runs that wait cost in their worker's memory.
 */
import type { Bench } from "../bench.ts";
import { withPairs } from "../pair.ts";
import { atMost } from "../report.ts";
import { untilWaiting } from "./until-waiting.ts";

const RUNS = 1_000;
const WARM_UP_RUNS = 200;
const MEGABYTE = 1024 * 1024;
const LIMIT_MB = 10;

export async function measureParkedMemory(bench: Bench): Promise<void> {
  await withPairs(bench.server, ["engine"], async ([engine]) => {
    if (engine === undefined) return;
    const { client, worker, database } = engine;
    const job = { workflow: "park", count: 1 } as const;
    // So that what the first runs compile and cache is not counted.
    for (const id of await client.call("park", { job, runs: WARM_UP_RUNS })) await client.call("unpark", id);
    const before = await worker.call("heapBytes", null);
    await client.call("park", { job, runs: RUNS });
    await untilWaiting(database, RUNS);
    await worker.call("stepTimes", null);
    const megabytes = ((await worker.call("heapBytes", null)) - before) / MEGABYTE;
    bench.report.add({
      workload: `${RUNS.toLocaleString("en-US")} parked runs`,
      figure: "heap of the worker",
      unit: "MiB",
      engine: megabytes,
      target: atMost(`<= ${LIMIT_MB} MiB`, megabytes, LIMIT_MB),
    });
  });
}
