/**
 * Activity interceptors: code around every call of an activity, part of the run that calls and replayed with it.
 *
 * Promises that the first registered is the outermost; that each sees the outcome of every call, live and on replay
 * alike; and that calls which an interceptor makes by itself go to their activities directly, so that none can wrap its
 * own calls without end. Which interceptors there are must be the same on every worker of a queue.
 */
import { AsyncLocalStorage } from "node:async_hooks";

/** A call of an activity, as its interceptors see it. */
export interface ActivityCall {
  readonly activityName: string;
  /** What the activity is called with: an interceptor may replace it, or change it, before `next()`. */
  args: unknown[];
  /** The options of the proxy, for reading. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** Wraps calls of activities. It may use every durable call. */
export interface ActivityInterceptor {
  /**
   * @param activityCtx - The call.
   * @param workflowCtx - What is known of the run that calls, as workflow interceptors get it.
   * @param next - The next interceptor, or the call itself.
   * @returns What the workflow shall get: `next()`'s result, as a rule.
   */
  execute(
    activityCtx: ActivityCall,
    workflowCtx: Map<string, unknown>,
    next: () => Promise<unknown>,
  ): Promise<unknown>;
}

const interceptors: ActivityInterceptor[] = [];
const ofInterceptors = new AsyncLocalStorage<true>();

/**
 * Adds an interceptor around every activity call of this process's workflows; the first registered is the outermost. Its
 * code is the run's: it is repeated on replay, where `next()` gives the recorded result.
 *
 * @param interceptor - Its `execute` may await durable calls before and after `next()`, change `args`, answer in place of
 *   the activity, and handle its failure.
 *
 * @example
 * MemFlow.registerActivityInterceptor({
 *   execute: async (activityCtx, workflowCtx, next) => {
 *     const entity = await MemFlow.workflow.entity();
 *     const result = await next();
 *     await entity.append('calls', `${activityCtx.activityName} of ${String(workflowCtx.get('workflowName'))}`);
 *     return result;
 *   },
 * });
 */
export function registerActivityInterceptor(interceptor: ActivityInterceptor): void {
  interceptors.push(interceptor);
}

/** Removes all activity interceptors. */
export function clearActivityInterceptors(): void {
  interceptors.length = 0;
}

/** Makes a call inside the interceptors that are registered now. */
export function throughActivityInterceptors(
  activityCtx: ActivityCall,
  workflowCtx: () => Map<string, unknown>,
  call: (args: unknown[]) => Promise<unknown>,
): Promise<unknown> {
  if (interceptors.length === 0 || ofInterceptors.getStore() === true) return call(activityCtx.args);
  const ctx = workflowCtx();
  const chain = interceptors.reduceRight<() => Promise<unknown>>(
    (next, interceptor) => async () => await interceptor.execute(activityCtx, ctx, next),
    async () => await call(activityCtx.args),
  );
  return ofInterceptors.run(true, chain);
}
