/**
 * One entity and many hooks that append to it, add to it and merge into it, round after round.
 */
import { MemFlow } from "@memflow/sdk";
import type { Entity } from "@memflow/sdk";

/** The queue of both functions. */
export const QUEUE = "entity-under-kills";

/** What the entity is when all have done their rounds. */
export interface Shared {
  /** True once the last round may begin. */
  readonly open: boolean;
  readonly total: number;
  readonly log: readonly { readonly who: number; readonly round: number; readonly sum: number }[];
  readonly by: Readonly<
    Record<string, { readonly rounds: Readonly<Record<string, boolean>>; readonly last: number }>
  >;
}

/** Starts the hooks and gives what each was told: the sums of its increments, in its order. */
export async function shareOneEntity(hookCount: number, roundCount: number): Promise<number[][]> {
  const memory = await MemFlow.workflow.entity();
  await memory.set({ open: false, total: 0, log: [], by: {} });
  const hooks = Array.from({ length: hookCount }, (_, who) =>
    MemFlow.workflow.execHook<number[]>({
      taskQueue: QUEUE,
      workflowName: "addToEntity",
      args: [who, roundCount],
    }),
  );
  await MemFlow.workflow.waitFor("last round");
  await memory.merge({ open: true });
  return await Promise.all(hooks);
}

/** Increments, appends and merges once a round; sleeps let hooks of other processes come between. */
export async function addToEntity(who: number, roundCount: number): Promise<number[]> {
  const memory = await MemFlow.workflow.entity();
  const sums: number[] = [];
  for (let round = 0; round < roundCount; round += 1) {
    if (round === roundCount - 1) await untilOpen(memory);
    const [sum] = await Promise.all([
      memory.increment("total"),
      memory.merge({ by: { [who]: { rounds: { [round]: true }, last: round } } }),
    ]);
    await memory.append("log", { who, round, sum });
    sums.push(sum);
    await MemFlow.workflow.sleepFor("50 milliseconds");
  }
  return sums;
}

async function untilOpen(memory: Entity): Promise<void> {
  while ((await memory.get("open")) !== true) await MemFlow.workflow.sleepFor("200 milliseconds");
}
