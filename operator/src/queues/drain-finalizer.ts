/**
 * The finalizer of a TaskQueue: there only while there is something to drain.
 *
 * With `deletion.mode: Drain`, a timeout above zero, and workers. Without workers nothing is in flight, so a queue at zero is never
 * held, with or without an operator. `helm uninstall` takes it away from all of them.
 */
import { durationMs } from "@memflow/crds";
import type { TaskQueue } from "@memflow/crds";
import { FIELD_MANAGERS, TASK_QUEUES } from "../api/index.ts";
import type { TaskQueueObject } from "../api/index.ts";
import { ConflictError, nameOf, NotFoundError } from "../kube/index.ts";
import type { Deployment } from "../kube/index.ts";
import type { KeepContext } from "./object-keeper.ts";

/** Holds a TaskQueue until its workers have drained, at most for `deletion.timeout`. */
const DRAIN_FINALIZER = "memflow.io/drain";

/** Whether a TaskQueue would have something to drain if it were deleted now. */
export function wantsDrain({ spec }: TaskQueue, deployments: readonly Deployment[]): boolean {
  const { mode, timeout } = spec.deletion;
  const hasWorkers = deployments.some(
    (one) => (one.spec?.replicas ?? 0) > 0 || (one.status?.replicas ?? 0) > 0,
  );
  return mode === "Drain" && durationMs(timeout) > 0 && hasWorkers;
}

/** Whether it is held. */
export function isHeld({ metadata }: TaskQueueObject): boolean {
  return metadata?.finalizers?.includes(DRAIN_FINALIZER) ?? false;
}

/** Puts the finalizer on, or takes it off, where that makes a difference. */
export async function setFinalizer(
  object: TaskQueueObject,
  isWanted: boolean,
  { client, signal }: KeepContext,
): Promise<void> {
  if (isWanted === isHeld(object)) return;
  const { finalizers = [], resourceVersion } = object.metadata ?? {};
  const others = finalizers.filter((name) => name !== DRAIN_FINALIZER);
  // The list is written whole, so only over the one that was read.
  const metadata = { resourceVersion, finalizers: isWanted ? [...others, DRAIN_FINALIZER] : others };
  try {
    await client.patch(
      TASK_QUEUES,
      nameOf(object),
      { kind: "merge", body: { metadata } },
      { fieldManager: FIELD_MANAGERS.queues, signal },
    );
  } catch (error) {
    // It changed meanwhile: that change brings us here again. Or it is gone, as was wanted.
    if (!(error instanceof ConflictError) && !(error instanceof NotFoundError)) throw error;
  }
}
