/**
 * What a client asks for when it starts a hook inside somebody else's run.
 */
import { newId } from "@memflow/engine";
import type { HookRequest, RunRecord } from "@memflow/engine";
import { checkName, checkStart, refuseClientOptions } from "./options.ts";
import type { WorkflowOptions } from "./options.ts";
import { runOptionsOf, traceOf } from "./run-options.ts";

/** Longer ids of runs are left out of those of their hooks. */
const RUN_PART_LENGTH_MAX = 400;

/**
 * The request for a hook of a run: it inherits what a hook inherits that the run starts itself.
 *
 * @throws {OptionError} and {PayloadError} For bad options.
 */
export function hookOf(run: RunRecord, options: WorkflowOptions): HookRequest {
  const inherited = runOptionsOf(run);
  const jobId = inherited.jobId ?? run.workflowId;
  refuseClientOptions(options, "hook");
  const checked = checkStart(options, {
    taskQueue: run.taskQueue,
    expire: inherited.expire,
    originJobId: inherited.originJobId ?? jobId,
    jobId,
    ...traceOf(run),
  });
  const runId = newId();
  const workflowId = `${run.workflowId}-${checked.workflowName}-${runId}`;
  return {
    into: run.workflowId,
    runId,
    workflowId: checkName(
      "workflowId",
      workflowId.length > RUN_PART_LENGTH_MAX ? `${checked.workflowName}-${runId}` : workflowId,
    ),
    workflowName: checked.workflowName,
    taskQueue: checked.taskQueue,
    input: checked.input,
    options: checked.options,
    delayMs: checked.delayMs,
    retentionSeconds: checked.retentionSeconds,
    search: checked.search,
  };
}
