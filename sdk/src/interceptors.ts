/**
 * Interceptors: code around every workflow and hook function, part of the run and replayed with it.
 */
import type { Invoke, RunContext } from "@memflow/engine";

/** Wraps workflow functions. It may use every durable call. */
export interface WorkflowInterceptor {
  /**
   * @param ctx - What is known of the run: workflowId, workflowName, workflowTopic, namespace, runId, attempt, canRetry.
   * @param next - The next interceptor, or the workflow function.
   * @returns What the run shall return: `next()`'s result, as a rule.
   */
  execute(ctx: Map<string, unknown>, next: () => Promise<unknown>): Promise<unknown>;
}

const interceptors: WorkflowInterceptor[] = [];

/** Adds an interceptor for every run of this process; the first registered is the outermost. */
export function registerInterceptor(interceptor: WorkflowInterceptor): void {
  interceptors.push(interceptor);
}

/** Removes all interceptors. */
export function clearInterceptors(): void {
  interceptors.length = 0;
}

/** A workflow or hook function. */
export type WorkflowFunction = (...args: never[]) => unknown;

/** Calls a workflow function inside the interceptors that are registered when it begins. */
export function intercepted(workflow: WorkflowFunction): Invoke {
  return (context, args) => {
    const call = (): unknown => workflow(...(args as never[]));
    if (interceptors.length === 0) return call();
    const ctx = contextMap(context);
    const chain = interceptors.reduceRight<() => Promise<unknown>>(
      (next, interceptor) => async () => await interceptor.execute(ctx, next),
      async () => await call(),
    );
    return chain();
  };
}

function contextMap({ facts, attempt }: RunContext): Map<string, unknown> {
  return new Map<string, unknown>([
    ["workflowId", facts.workflowId],
    ["workflowName", facts.workflowName],
    ["workflowTopic", `${facts.taskQueue}-${facts.workflowName}`],
    ["taskQueue", facts.taskQueue],
    ["namespace", facts.namespace],
    ["runId", facts.runId],
    ["attempt", attempt],
    ["canRetry", true],
  ]);
}
