/**
 * Finds the run that a durable call belongs to.
 */
import { MemFlowError, currentContext } from "@memflow/engine";
import type { RunContext } from "@memflow/engine";

/**
 * The run whose code is executing.
 *
 * @throws {MemFlowError} `NOT_IN_WORKFLOW`, outside a workflow or hook function.
 */
export function runOf(call: string): RunContext {
  const context = currentContext();
  if (context === undefined) {
    throw new MemFlowError(
      `${call} was called outside a workflow; call it inside a workflow or hook function`,
      {
        name: "NotInWorkflowError",
        code: "NOT_IN_WORKFLOW",
      },
    );
  }
  return context;
}
