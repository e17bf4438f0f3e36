/**
 * Workflow interceptors: code around every workflow and hook function, part of the run and replayed with it.
 */
import type { Invoke, RunContext } from "@memflow/engine";
import { clearActivityInterceptors } from "./activity-interceptors.ts";
import { infoOf, noteConnection } from "./workflow/info.ts";

/** Wraps workflow functions. It may use every durable call. */
export interface WorkflowInterceptor {
  /**
   * @param ctx - What is known of the run, by the names of `WorkflowInfo`: workflowId, workflowName, workflowTopic,
   *   namespace, attempt, canRetry, replay, and so on.
   * @param next - The next interceptor, or the workflow function.
   * @returns What the run shall return: `next()`'s result, as a rule.
   */
  execute(ctx: Map<string, unknown>, next: () => Promise<unknown>): Promise<unknown>;
}

const interceptors: WorkflowInterceptor[] = [];

/**
 * Adds an interceptor for every run of this process; the first registered is the outermost. Its code is the run's: it
 * is repeated on replay, with the same answers.
 *
 * @example
 * MemFlow.registerInterceptor({
 *   execute: async (ctx, next) => {
 *     await MemFlow.workflow.sleepFor('100 milliseconds');
 *     return await next();
 *   },
 * });
 */
export function registerInterceptor(interceptor: WorkflowInterceptor): void {
  interceptors.push(interceptor);
}

/** Removes all interceptors, those of activities too. */
export function clearInterceptors(): void {
  interceptors.length = 0;
  clearActivityInterceptors();
}

/** A workflow or hook function. */
export type WorkflowFunction = (...args: never[]) => unknown;

/** Calls a workflow function inside the interceptors that are registered when it begins. */
export function intercepted(workflow: WorkflowFunction, connection?: unknown): Invoke {
  return (context, args) => {
    if (connection !== undefined) noteConnection(context, connection);
    const call = (): unknown => workflow(...(args as never[]));
    if (interceptors.length === 0) return call();
    const ctx = interceptorContext(context);
    const chain = interceptors.reduceRight<() => Promise<unknown>>(
      (next, interceptor) => async () => await interceptor.execute(ctx, next),
      async () => await call(),
    );
    return chain();
  };
}

/** What interceptors get to know of a run. */
export function interceptorContext(context: RunContext): Map<string, unknown> {
  return new Map<string, unknown>(Object.entries(infoOf(context)));
}
