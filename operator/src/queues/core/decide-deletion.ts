/**
 * Whether a TaskQueue that is being deleted may go.
 *
 * Promises an end: but for `onTimeout: Keep` with a Store that answers, everything that could hold it has a time limit; what is left in
 * the database describes itself, so that to give up loses nothing.
 */
import { durationMs } from "@memflow/crds";
import type { TaskQueueSpec } from "@memflow/crds";

/** What is known. */
export interface DeletionFacts {
  readonly deletion: TaskQueueSpec["deletion"];
  readonly deletedMs: number;
  readonly nowMs: number;
  /** Everything in the Kubernetes namespace goes, the workers too. */
  readonly isNamespaceTerminating: boolean;
  /** The work that is left, or why nobody can tell. */
  readonly work:
    | { readonly kind: "Counted"; readonly openRuns: number; readonly inFlight: number }
    | { readonly kind: "Unreachable"; readonly message: string }
    | { readonly kind: "StoreGone" };
}

/** What to do. */
export type DeletionStep =
  | { readonly kind: "Release"; readonly isTimedOut: boolean; readonly message: string }
  | {
      readonly kind: "Wait";
      readonly reason: "Deleting" | "TimedOut";
      readonly message: string;
      readonly lookAgainMs: number;
    };

/** Work is looked at so often. */
const LOOK_MS = 5_000;

/** Decides. */
export function decideDeletion(facts: DeletionFacts): DeletionStep {
  const { deletion, work, deletedMs, nowMs } = facts;
  if (deletion.mode === "Force") return release("deletion.mode is Force");
  if (facts.isNamespaceTerminating) return release("its Kubernetes namespace is being deleted");
  if (work.kind === "StoreGone") return release("its Store is gone");
  if (work.kind === "Counted" && work.openRuns + work.inFlight === 0) return release("it has drained");
  const blocker =
    work.kind === "Counted"
      ? `${work.openRuns} open runs and ${work.inFlight} tasks in flight keep the queue`
      : `nobody can tell what is left: ${work.message}`;
  const leftMs = deletedMs + durationMs(deletion.timeout) - nowMs;
  if (leftMs > 0) {
    const message = `${blocker}; after deletion.timeout (${deletion.timeout}) follows ${deletion.onTimeout}`;
    return { kind: "Wait", reason: "Deleting", message, lookAgainMs: Math.min(LOOK_MS, leftMs) };
  }
  if (deletion.onTimeout === "Force" || work.kind === "Unreachable") {
    return { kind: "Release", isTimedOut: true, message: `${blocker}; the workers are stopped` };
  }
  const message = `${blocker}; end the runs, or set deletion.onTimeout to Force`;
  return { kind: "Wait", reason: "TimedOut", message, lookAgainMs: LOOK_MS };
}

function release(why: string): DeletionStep {
  return { kind: "Release", isTimedOut: false, message: why };
}
