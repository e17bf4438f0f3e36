/**
 * Puts the guards of user code into this process, once: globals, rejections, exceptions.
 */
import { currentContext } from "../replay/run-context.ts";
import { installGlobalGuards } from "../guards/global-guards.ts";
import { installRejectionHandlers } from "../guards/rejections.ts";
import { assertSyncDrain } from "../guards/sync-drain.ts";
import { currentAttempt, failCurrentActivity } from "./activity-executor.ts";
import type { RunContext } from "../replay/run-context.ts";

let installed: Promise<void> | undefined;

/**
 * Guards workflow and activity code of this process.
 *
 * @throws {SyncDrainUnavailableError} On a Node whose microtasks can't be drained.
 */
export async function guardProcess(): Promise<void> {
  installed ??= install();
  await installed;
}

/** Whose code executes: a run's or an attempt's, by the async context. */
export function currentOwner():
  | { readonly kind: "run" | "activity"; readonly id: string; readonly position: number }
  | undefined {
  const attempt = currentAttempt();
  if (attempt !== undefined) return { kind: "activity", id: attempt.runId, position: attempt.position };
  const context = currentContext();
  return context === undefined
    ? undefined
    : { kind: "run", id: context.facts.runId, position: context.nextPosition };
}

/** An exception in a callback of a workflow, such as one of an event emitter, fails its run. */
function failCurrentRun(error: unknown): boolean {
  const context = currentContext();
  context?.fail(error);
  return context !== undefined;
}

async function install(): Promise<void> {
  await assertSyncDrain();
  installGlobalGuards({
    currentRun: () => {
      const context = currentContext();
      return context === undefined || currentAttempt() !== undefined ? undefined : context;
    },
    inUserCode: () => currentContext() !== undefined || currentAttempt() !== undefined,
  });
  const owners = new WeakMap<Promise<unknown>, RunContext>();
  installRejectionHandlers({
    onUnhandled: (promise, reason) => {
      if (failCurrentActivity(reason)) return true;
      const context = currentContext();
      if (context === undefined) return false;
      owners.set(promise, context);
      context.unhandled.set(promise, reason);
      return true;
    },
    onHandled: (promise) => owners.get(promise)?.unhandled.delete(promise) ?? false,
    onUncaught: (error) => failCurrentActivity(error) || failCurrentRun(error),
  });
}
