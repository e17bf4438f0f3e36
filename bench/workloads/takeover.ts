/**
 * A worker takes over runs of 1,000 steps that wait for one signal more: how long the history takes to load and to
 * replay, the first time in a process and later.
 */
import type { Bench } from "../bench.ts";
import { BenchProcess } from "../bench-process.ts";
import { withPairs } from "../pair.ts";
import { atMost } from "../report.ts";
import { median } from "../statistics.ts";
import { untilWaiting } from "./until-waiting.ts";

const STEPS = 1_000;
const REPLAY_MS = 10;

export async function measureTakeover(bench: Bench): Promise<void> {
  await withPairs(bench.server, ["engine"], async ([engine]) => {
    if (engine === undefined) return;
    const { client, database } = engine;
    const ids = await client.call("park", {
      job: { workflow: "park", count: STEPS },
      runs: bench.effort.replays,
    });
    await untilWaiting(database, ids.length);
    await engine.worker.call("close", null);
    const next = await BenchProcess.start({
      subject: "engine",
      role: "worker",
      url: database.url,
      watchReplays: true,
    });
    try {
      const totals: number[] = [];
      for (const id of ids) totals.push(await client.call("unpark", id));
      report(bench, await next.call("replays", null), totals);
      await next.close();
    } finally {
      next.kill();
    }
  });
}

function report(
  bench: Bench,
  replays: readonly { readonly loadMs: number; readonly replayMs: number }[],
  totals: readonly number[],
): void {
  const [cold, ...warm] = replays;
  if (cold === undefined || replays.length !== totals.length) {
    throw new Error(`${totals.length} runs were taken over but ${replays.length} replays seen`);
  }
  const workload = `replay of ${STEPS.toLocaleString("en-US")} steps`;
  const replayMs = median(warm.map((replay) => replay.replayMs));
  const limit = `<= ${REPLAY_MS} ms`;
  const add = (figure: string, engine: number, judged = false): void =>
    bench.report.add({
      workload,
      figure,
      unit: "ms",
      engine,
      target: judged ? atMost(limit, engine, REPLAY_MS) : undefined,
    });
  add("replay, first of a process", cold.replayMs, true);
  add("replay, later", replayMs, true);
  add("load, first of a process", cold.loadMs);
  add("load, later", median(warm.map((replay) => replay.loadMs)));
  add("signal to result, later", median(totals.slice(1)));
}
