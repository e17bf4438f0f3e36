/**
 * Plays one load under one rule and sums up what came of it.
 */
import { SLOTS } from "./autoscalers.ts";
import type { Autoscaler } from "./autoscalers.ts";
import { Cluster } from "./cluster.ts";
import type { Measured } from "./cluster.ts";
import type { Trace } from "./traces.ts";

/** What came of it. */
export interface Outcome {
  readonly replicaSeconds: number;
  readonly waitP50Ms: number;
  readonly waitP99Ms: number;
  readonly scaleCount: number;
  readonly interruptedCount: number;
  readonly lostMs: number;
  /** Tasks that had not even begun at the end. */
  readonly unstartedCount: number;
  /** Replicas asked for, at each change. */
  readonly desired: Measured["desired"];
}

/** From NOTIFY to the operator's look. */
const WAKE_MS = 100;

/** Plays it. */
export function simulate(trace: Trace, autoscaler: Autoscaler): Outcome {
  const cluster = new Cluster(trace, SLOTS);
  let look = 0;
  const lookIn = (delayMs: number): void => {
    const mine = (look += 1);
    cluster.after(delayMs, () => {
      // A wake-up has taken its place.
      if (mine === look) lookIn(autoscaler.look(cluster));
    });
  };
  cluster.onArrival = () => {
    if (autoscaler.woken && cluster.desired === 0 && !cluster.databaseAway) lookIn(WAKE_MS);
  };
  lookIn(0);
  const measured = cluster.run();
  const waitsMs = measured.waitsMs.toSorted((left, right) => left - right);
  return {
    replicaSeconds: measured.podMs / 1_000,
    waitP50Ms: quantile(waitsMs, 0.5),
    waitP99Ms: quantile(waitsMs, 0.99),
    scaleCount: measured.scaleCount,
    interruptedCount: measured.interruptedCount,
    lostMs: measured.lostMs,
    unstartedCount: trace.arrivals.length - waitsMs.length,
    desired: measured.desired,
  };
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.ceil(sorted.length * share) - 1] ?? 0;
}
