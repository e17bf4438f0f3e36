/**
 * Runs code outside every caller's asynchronous context.
 *
 * A socket or timer that is made inside a run would keep that run's context for its whole life: its guards would fire
 * in `pg`, and the run's memory could not be freed. Whatever the store opens, it opens through here.
 */
import { AsyncLocalStorage } from "node:async_hooks";

/** Calls `work` in the context that was current when this module was loaded: none of a run. */
export const outside: <Result>(work: () => Result) => Result = AsyncLocalStorage.snapshot();
