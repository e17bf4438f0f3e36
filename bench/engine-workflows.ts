/**
 * The jobs as MemFlow workflows.
 */
import { MemFlow } from "@memflow/sdk";
import { touch } from "./jobs.ts";

const activities = MemFlow.workflow.proxyActivities<{ touch: typeof touch }>({ activities: { touch } });

/** Task queue of the bench. */
export const QUEUE = "bench";
/** The signal that parked runs wait for. */
export const UNPARK = "unpark";

export async function noOp(count: number): Promise<number> {
  return await Promise.resolve(count);
}

export async function steps(count: number): Promise<number> {
  for (let step = 1; step <= count; step += 1) await activities.touch(step);
  return count;
}

export async function fanOut(count: number): Promise<number> {
  const children = Array.from({ length: count }, () =>
    MemFlow.workflow.execChild<number>({ taskQueue: QUEUE, workflowName: "noOp", args: [0] }),
  );
  await Promise.all(children);
  return count;
}

export async function park(count: number): Promise<number> {
  for (let step = 1; step <= count; step += 1) await activities.touch(step);
  await MemFlow.workflow.waitFor(UNPARK);
  return count;
}
