/**
 * Rejections that nobody handles and exceptions that nobody catches, given to the run or activity that they belong to.
 *
 * Promises that user code alone cannot end the process by either of them, whatever other listeners do, and that what
 * is not a run's or an activity's takes the way that Node gives it, as if this file were not there: the listeners of
 * the process, else the error on stderr and exit code 1. Does not decide what becomes of a run: the hooks do.
 *
 * It stands before the listeners, in `process.emit`: a listener could not keep others (Sentry's, vitest's, a user's
 * `process.exit(1)`) from a run's rejection, and its mere presence would switch off Node's own end of the process.
 *
 * Which async context the hooks see was measured on Node 22, 24 and 26 (rejections.test.ts holds it):
 *
 * - `onUnhandled`: the context in which the promise was rejected, that is of the code that threw or called `reject`,
 *   also in the middle of a synchronous drain. So a promise that the engine rejects must be rejected inside its run's
 *   context. (Node 22: the context in which the promise was made.)
 * - `onHandled`: none at all. Who took the rejection must know the promise again.
 * - `onUncaught`: the context of the callback that threw: timers, immediates, nextTick, microtasks, sockets, file
 *   callbacks and emitters. (Node 22: none for `queueMicrotask`, so there it is given one here.)
 */
import { processWide } from "./process-wide.ts";

/** Who takes what nobody handled. Each hook is called in the async context described above. */
export interface RejectionHooks {
  /**
   * A promise was rejected and has no handler yet; one may still come.
   *
   * @returns True when a run or activity has taken it, false to let the process deal with it.
   */
  onUnhandled(promise: Promise<unknown>, reason: unknown): boolean;
  /**
   * A promise has got its handler after all, later than `onUnhandled` was told of it.
   *
   * @returns True when a run or activity had taken it, false to let the process deal with it.
   */
  onHandled(promise: Promise<unknown>): boolean;
  /**
   * An exception was thrown in a callback that no `try` surrounds.
   *
   * @returns True when it fails a run or activity, false to let the process deal with it.
   */
  onUncaught(error: unknown): boolean;
}

/** Since this version async contexts travel with V8's own jobs. */
const CONTEXT_FRAME_NODE_MAJOR = 24;

type Emit = (event: string | symbol, ...values: unknown[]) => boolean;

interface RejectionRegistry {
  readonly hooks: RejectionHooks[];
  installed: boolean;
}

const registry: RejectionRegistry = processWide<RejectionRegistry>("rejection-hooks.1", () => ({
  hooks: [],
  installed: false,
}));

/**
 * Gives unhandled rejections and uncaught exceptions to `hooks` before anyone else hears of them.
 *
 * @param hooks - May be called in the middle of a synchronous drain, so they only take notes.
 * @returns A function that takes the hooks away again.
 */
export function installRejectionHandlers(hooks: RejectionHooks): () => void {
  registry.hooks.push(hooks);
  if (!registry.installed) {
    registry.installed = true;
    interceptProcessEvents();
    if (Number.parseInt(process.versions.node, 10) < CONTEXT_FRAME_NODE_MAJOR) passMicrotaskErrorsOn();
  }
  return () => {
    const index = registry.hooks.indexOf(hooks);
    if (index !== -1) registry.hooks.splice(index, 1);
  };
}

/** Stays in place once it is there: another library may have wrapped it in turn. */
function interceptProcessEvents(): void {
  const target = process as unknown as { emit: Emit };
  const emit = target.emit;
  target.emit = function emitUnlessTaken(this: unknown, event, ...values) {
    return isTaken(event, values) || Reflect.apply(emit, this, [event, ...values]);
  };
}

/** What a nextTick callback throws is told in its context on every Node. */
function passMicrotaskErrorsOn(): void {
  const native = globalThis.queueMicrotask;
  globalThis.queueMicrotask = function queueMicrotask(callback) {
    // A callback that is no function: Node's own error is the best one.
    if (typeof callback !== "function") return native(callback);
    return native(() => {
      try {
        callback();
      } catch (error) {
        process.nextTick(() => {
          throw error;
        });
      }
    });
  };
}

function isTaken(event: string | symbol, values: readonly unknown[]): boolean {
  switch (event) {
    case "unhandledRejection": {
      const [reason, promise] = values;
      return registry.hooks.some((hooks) => hooks.onUnhandled(promise as Promise<unknown>, reason));
    }
    case "rejectionHandled": {
      const [promise] = values;
      return registry.hooks.some((hooks) => hooks.onHandled(promise as Promise<unknown>));
    }
    case "uncaughtException": {
      const [error] = values;
      return registry.hooks.some((hooks) => hooks.onUncaught(error));
    }
    default:
      return false;
  }
}
