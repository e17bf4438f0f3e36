/** What runs of a ledger do: one step after the other, each with a line in the ledger. Runs in workers, and in tests that replay it. */
import { MemFlow } from "@memflow/sdk";
import { writeLine } from "./write-line.ts";

/** The argument of a run. */
export interface LedgerJob {
  readonly stepCount: number;
  /** How long each step takes. */
  readonly stepMs: number;
  /** A durable sleep before each step but the first. */
  readonly pauseMs?: number;
}

/** More tries than any outage of a scenario needs. */
const steps = MemFlow.workflow.proxyActivities<{ writeLine: typeof writeLine }>({
  activities: { writeLine },
  retryPolicy: { maximumAttempts: 1_000, initialInterval: "500ms", maximumInterval: "2s" },
});

/** Takes all steps and gives the sum of their numbers. */
export async function keepLedger({ stepCount, stepMs, pauseMs = 0 }: LedgerJob): Promise<number> {
  let sum = 0;
  for (let step = 1; step <= stepCount; step += 1) {
    if (step > 1 && pauseMs > 0) await MemFlow.workflow.sleepFor(pauseMs);
    sum += await steps.writeLine(step, stepMs);
  }
  return sum;
}
