/**
 * The synchronous drain: runs every microtask and `process.nextTick` callback that is due, before it returns.
 *
 * It rests on two functions of Node that are not documented, `process._tickCallback` and `process._fatalException`;
 * `assertSyncDrain` proves at start that they do what is needed. There is no second way: see
 * docs/decisions/0001-synchronous-drain-only.md.
 *
 * Promises that what is thrown by any callback in the drain becomes an uncaught exception, as it would without the
 * drain, never an exception of the caller. Does not run timers, I/O or immediates, and runs nothing when it is called
 * from inside a microtask.
 */
import { AsyncResource } from "node:async_hooks";
import { MemFlowError } from "../core/errors.ts";
import { runOutsideGuards } from "./outside-runs.ts";

/** What Node keeps on `process` without documenting it. */
interface ProcessInternals {
  readonly _tickCallback?: () => void;
  readonly _fatalException?: (error: unknown, fromPromise: boolean) => boolean;
}

const internals: ProcessInternals = process as unknown as ProcessInternals;

/**
 * Puts the caller's async context back, which a throwing callback leaves at its own: the engine would go on as if it
 * were code of that callback's run. `AsyncLocalStorage.run` restores one store only, and this is what `snapshot()` is
 * made of.
 */
const drainScope = new AsyncResource("MemFlowDrain", { requireManualDestroy: true });

/** Awaits in the feature test: more than any queue that a single run of the microtasks could be mistaken for. */
const PROBE_AWAIT_COUNT = 16;

/** This Node cannot drain microtasks synchronously, so no workflow can run on it. */
export class SyncDrainUnavailableError extends MemFlowError {
  declare readonly code: "SYNC_DRAIN_UNAVAILABLE";

  constructor(problem: string) {
    super(
      `Node ${process.version} cannot drain microtasks synchronously: ${problem}; use Node 22, 24 or 26`,
      {
        name: "SyncDrainUnavailableError",
        code: "SYNC_DRAIN_UNAVAILABLE",
      },
    );
  }
}

/**
 * Runs every due microtask and `process.nextTick` callback of the process, also those that they add, then the handlers
 * of rejections that nobody took.
 *
 * Call it from a macrotask (a timer, an immediate, a socket's callback): inside a microtask it does nothing, so no
 * `async` function may be on the stack.
 */
export function drainMicrotasks(): void {
  drainScope.runInAsyncScope(drainToTheEnd);
}

/**
 * Proves, from a macrotask of its own, that `drainMicrotasks` runs a chain of awaits to its end.
 *
 * @throws {SyncDrainUnavailableError} When this Node cannot do it.
 * @see docs/decisions/0001-synchronous-drain-only.md
 */
export async function assertSyncDrain(): Promise<void> {
  for (const name of ["_tickCallback", "_fatalException"] as const) {
    if (typeof internals[name] !== "function") {
      throw new SyncDrainUnavailableError(`process.${name} is missing`);
    }
  }
  const awaitCount = await runOutsideGuards(() => new Promise<number>(probeInMacrotask));
  if (awaitCount !== PROBE_AWAIT_COUNT) {
    throw new SyncDrainUnavailableError(`it left a chain of ${PROBE_AWAIT_COUNT} awaits after ${awaitCount}`);
  }
}

/**
 * An exception in a nextTick callback ends `_tickCallback` early. It must not unwind the caller: Node's stack of async
 * ids would be left unbalanced and the process would abort. No limit: code that always adds another callback would
 * block Node's own loop just so, and the heartbeat thread ends that.
 */
function drainToTheEnd(): void {
  for (;;) {
    try {
      internals._tickCallback?.();
      return;
    } catch (error) {
      tellUncaught(error);
    }
  }
}

/**
 * Hands an exception to the function that Node's own loop would hand it to, which also straightens the stack of async
 * ids, but only if somebody listens. So when nobody does, we listen, and throw it again where it ends the process in
 * Node's own way.
 */
function tellUncaught(error: unknown): void {
  const nobodyListens = process.listenerCount("uncaughtException") === 0;
  if (nobodyListens) process.once("uncaughtException", throwFromMacrotask);
  try {
    if (internals._fatalException?.(error, false) !== true) throw error;
  } finally {
    if (nobodyListens) process.off("uncaughtException", throwFromMacrotask);
  }
}

function throwFromMacrotask(error: unknown): void {
  setImmediate(() => {
    throw error;
  });
}

function probeInMacrotask(resolve: (awaitCount: number) => void): void {
  setImmediate(() => {
    let awaitCount = 0;
    void (async (): Promise<void> => {
      for (let index = 0; index < PROBE_AWAIT_COUNT; index += 1) {
        await Promise.resolve();
        awaitCount += 1;
      }
    })();
    drainMicrotasks();
    resolve(awaitCount);
  });
}
