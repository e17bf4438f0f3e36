/**
 * A run and its hooks that change one memory at the same time.
 */
import { MemFlow } from "@memflow/sdk";

/** The queue of both. */
export const QUEUE = "entity";

/** Starts hooks that count in the shared memory, counts beside them, and returns what everybody was told. */
export async function countTogether(hookCount: number, rounds: number): Promise<number[][]> {
  const hooks = Array.from({ length: hookCount }, (_, index) =>
    MemFlow.workflow.execHook<number[]>({ taskQueue: QUEUE, workflowName: "count", args: [index, rounds] }),
  );
  const own = count(hookCount, rounds);
  return await Promise.all([own, ...hooks]);
}

/** Counts up, notes each number in a list of its own and in the common one, and returns the numbers. */
export async function count(who: number, rounds: number): Promise<number[]> {
  const memory = await MemFlow.workflow.entity();
  const numbers: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const number = await memory.increment("total");
    await memory.append(`lists.${who}`, number);
    await memory.append("common", { who, number });
    numbers.push(number);
  }
  return numbers;
}
