/**
 * Durable sleep.
 */
import { parseDurationMs } from "@memflow/engine";
import { runOf } from "./in-run.ts";

/**
 * Sleeps in the run's time: across crashes, deploys and days; on replay it has passed already.
 *
 * @param duration - Milliseconds, or a text that `ms` reads: `"100 milliseconds"`, `"5m"`, `"2 days"`.
 * @returns The seconds that were asked for.
 * @throws {DurationError} When the duration can't be read.
 *
 * @example
 * await MemFlow.workflow.sleepFor('100 milliseconds');
 */
export async function sleepFor(duration: string | number): Promise<number> {
  const context = runOf("sleepFor");
  const milliseconds = parseDurationMs(duration, "duration");
  const dueMs = context.nowMs() + milliseconds;
  await context.issue({ kind: "timer", name: null }, (position) => ({ kind: "timer", position, dueMs }));
  return milliseconds / 1000;
}
