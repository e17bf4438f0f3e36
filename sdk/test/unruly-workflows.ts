/**
 * Workflows and activities that do what they should not, and well-behaved ones beside them.
 */
import { setTimeout as delay } from "node:timers/promises";
import { MemFlow } from "@memflow/sdk";

/** The queue of all of these. */
export const QUEUE = "unruly";

const { step, spin, exitInActivity } = MemFlow.workflow.proxyActivities<{
  step(index: number): Promise<number>;
  spin(): void;
  exitInActivity(): void;
}>({
  activities: {
    step: async (index: number) => {
      await delay(1);
      return index;
    },
    spin: () => {
      for (;;);
    },
    exitInActivity: () => process.exit(3),
  },
  retryPolicy: { maximumAttempts: 3, backoffCoefficient: 1 },
});

/** Works, sleeps and waits for a while. */
export async function behaves(count: number): Promise<number[]> {
  const done: number[] = [];
  for (let index = 0; index < count; index += 1) {
    done.push(await step(index));
    await MemFlow.workflow.sleepFor(20);
  }
  return done;
}

/** Never gives the process back. */
export async function spinsInWorkflow(): Promise<void> {
  await step(1);
  for (;;);
}

/** Its activity never gives the process back. */
export async function spinsInActivity(): Promise<void> {
  await spin();
}

/** Tries to end the process that it shares. */
export async function exitsInWorkflow(): Promise<void> {
  await step(1);
  process.exit(3);
}

/** Its activity tries to end the process that it shares. */
export async function exitsInActivity(): Promise<void> {
  await exitInActivity();
}

/** Leaves a rejection unhandled, and returns when it is told to. */
export async function rejectsAside(): Promise<string> {
  void Promise.reject(new RangeError("nobody looked"));
  await MemFlow.workflow.waitFor("return");
  return "fine";
}

/** Handles a rejection after it has happened, in a later activation. */
export async function handlesLate(): Promise<string> {
  const rejected = Promise.reject(new RangeError("looked at late"));
  await MemFlow.workflow.waitFor("return");
  return await rejected.catch((error: unknown) => (error as Error).message);
}
