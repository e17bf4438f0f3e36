/**
 * The async context outside every run and activity, and the way back into it.
 *
 * Whatever outlives one activation (a socket, a pool, a timer, a thread) must be created here: it would else keep the
 * run's AsyncLocalStorage store for good, with its deterministic clock and its refusals.
 */
import { AsyncLocalStorage } from "node:async_hooks";

/** Taken when the engine is loaded, which is before any run exists. */
const enterOutside: <Result>(work: () => Result) => Result = AsyncLocalStorage.snapshot();

/**
 * Calls `work` outside every run's and activity's async context: the escape hatch of the guards.
 *
 * Nothing that `work` does is recorded, so it happens again on every replay, and what it returns must not steer the
 * workflow. Continuations of promises made in `work` stay outside as well.
 *
 * @param work - Called once, at once.
 * @returns What `work` returns.
 *
 * @example
 * const pool = runOutsideGuards(() => new Pool({ connectionString }));
 */
export function runOutsideGuards<Result>(work: () => Result): Result {
  return enterOutside(work);
}
