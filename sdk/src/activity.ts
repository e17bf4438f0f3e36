/**
 * What an activity can ask about its own attempt.
 */
import { MemFlowError, currentActivity } from "@memflow/engine";
import type { ActivityInfo } from "@memflow/engine";

/**
 * The attempt whose code is executing: its run, its name, its number, and a signal that is aborted when the outcome is no
 * longer wanted.
 *
 * @returns The attempt's facts; `attempt` is 1-based, `position` is the call's number within its run.
 * @throws {MemFlowError} `NOT_IN_ACTIVITY`, outside an activity.
 *
 * @example
 * async function charge(order: string): Promise<string> {
 *   const { runId, position } = activityInfo();
 *   return await Promise.resolve(`${order} charged once under ${runId}/${position}`);
 * }
 */
export function activityInfo(): ActivityInfo {
  const info = currentActivity();
  if (info === undefined) {
    throw new MemFlowError(
      "activityInfo was called outside an activity; call it inside an activity function",
      {
        name: "NotInActivityError",
        code: "NOT_IN_ACTIVITY",
      },
    );
  }
  return info;
}
