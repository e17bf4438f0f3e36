/** The workflows of the ledger app: steps in a row, and one that fails. */
import { MemFlow } from "@memflow/sdk";
import * as activities from "./activities.ts";

const { takeStep } = MemFlow.workflow.proxyActivities<typeof activities>({ activities });

/** Takes the steps one after the other and returns their numbers. */
export async function takeSteps(input: {
  readonly stepCount: number;
  readonly paceMs: number;
}): Promise<{ readonly taken: readonly number[] }> {
  const taken: number[] = [];
  for (let step = 1; step <= input.stepCount; step += 1) {
    taken.push(await takeStep({ step, paceMs: input.paceMs }));
  }
  return { taken };
}

/** Fails for good. */
export async function fail(): Promise<never> {
  throw new Error("this workflow always fails");
}
