/** Workflows that make every kind of work at once: steps, sleeps, attempts for another queue, children, waits. */
import { MemFlow } from "@memflow/sdk";

/** The queue of the workflows, and that of the activities that other workers do. */
export const QUEUE = "load";
export const FAR_QUEUE = "load-far";

const RETRY = { maximumAttempts: 20, initialInterval: 1, backoffCoefficient: 1 } as const;

const { step } = MemFlow.workflow.proxyActivities({
  activities: { step: (value: number): number => value },
  retryPolicy: RETRY,
});
const { far } = MemFlow.workflow.proxyActivities({
  activities: { far: (value: number): number => value },
  taskQueue: FAR_QUEUE,
  retryPolicy: RETRY,
});

/** Adds one `turns` times, by various ways; every third run waits for the signal `go` at last. */
export async function working(index: number, turns: number): Promise<number> {
  let sum = 0;
  for (let turn = 0; turn < turns; turn += 1) {
    sum += await step(1);
    if (turn % 2 === 0) await MemFlow.workflow.sleepFor(30);
    if (turn % 3 === index % 3) sum += (await far(1)) - 1;
  }
  const args = [index];
  if (index % 4 === 0) await MemFlow.workflow.execChild({ taskQueue: QUEUE, workflowName: "small", args });
  if (index % 3 === 0) await MemFlow.workflow.waitFor("go");
  return sum;
}

/** One step. */
export async function small(index: number): Promise<number> {
  return await step(index);
}
