/**
 * The end of a TaskQueue that is held: waits for its work, and lets it go in any case.
 *
 * What follows is the cluster's own doing: everything that was made for the queue belongs to it. Runs stay in the database.
 */
import { queueNameOf } from "@memflow/crds";
import type { OperatorDependencies, TaskQueueObject } from "../api/index.ts";
import { ForbiddenError, NAMESPACES } from "../kube/index.ts";
import type { ReconcileContext } from "../kube/index.ts";
import { decideDeletion } from "./core/decide-deletion.ts";
import type { DeletionFacts, DeletionStep } from "./core/decide-deletion.ts";
import { setFinalizer } from "./drain-finalizer.ts";
import { storeKeyOf } from "./find-store.ts";
import type { Pass } from "./queue-pass.ts";
import type { StoreBuilds } from "./store-builds.ts";

type DeletionDependencies = Pick<OperatorDependencies, "followed" | "stores" | "events">;

/** What is left in the Store of a queue. */
export async function lookAtWork(
  { followed, stores }: DeletionDependencies,
  { taskQueue }: Pick<Pass, "taskQueue">,
  buildsOf: (store: NonNullable<ReturnType<OperatorDependencies["stores"]["find"]>>) => StoreBuilds,
): Promise<DeletionFacts["work"]> {
  const key = storeKeyOf(taskQueue);
  const object = followed.stores.store.get(key);
  if (object === undefined || object.metadata?.deletionTimestamp !== undefined) return { kind: "StoreGone" };
  const connected = stores.find(key);
  const { name } = taskQueue.spec.storeRef;
  if (connected === undefined) return { kind: "Unreachable", message: `Store "${name}" is not connected` };
  const queueName = queueNameOf(taskQueue);
  const seen = await connected.observer.look();
  if (seen.kind === "Unseen") return { kind: "Unreachable", message: seen.message };
  try {
    const { openRuns } = await buildsOf(connected).look(queueName, true);
    const { waiting, workers } = seen.queue(queueName);
    // Pinned runs, and those that no build has yet: waiting, or in the memory of a worker.
    const pinned = sum([...(openRuns?.values() ?? [])].map((build) => build.openRuns));
    const free = sum(
      waiting.map(({ buildId, ready, unserved }) => (buildId === null ? ready + unserved : 0)),
    );
    const unpinned = sum(workers.map(({ buildId, ownedRuns }) => (buildId === null ? ownedRuns : 0)));
    const inFlight = sum(workers.map(({ busyRuns, attempts }) => busyRuns + attempts));
    return { kind: "Counted", openRuns: pinned + free + unpinned, inFlight };
  } catch (error) {
    return { kind: "Unreachable", message: error instanceof Error ? error.message : String(error) };
  }
}

/** Decides whether the queue may go. */
export async function decide(
  { object, taskQueue, nowMs, context }: Pass,
  work: DeletionFacts["work"],
): Promise<DeletionStep> {
  return decideDeletion({
    deletion: taskQueue.spec.deletion,
    deletedMs: Date.parse(object.metadata?.deletionTimestamp ?? new Date(nowMs).toISOString()),
    nowMs,
    isNamespaceTerminating: await isTerminating(object.metadata?.namespace ?? "", context),
    work,
  });
}

/** Lets it go. */
export async function release(
  { events }: DeletionDependencies,
  { object, context }: { readonly object: TaskQueueObject; readonly context: ReconcileContext },
  step: Extract<DeletionStep, { kind: "Release" }> | undefined,
): Promise<void> {
  await setFinalizer(object, false, context);
  if (step?.isTimedOut !== true) return;
  const happening = {
    type: "Warning",
    reason: "DrainTimedOut",
    action: "Delete",
    note: step.message,
  } as const;
  events.record({ regarding: object, ...happening });
}

/** Where the role may not ask, it is taken for living: the time limit ends the wait all the same. */
export async function isTerminating(name: string, { client, signal }: ReconcileContext): Promise<boolean> {
  try {
    const found = await client.find(NAMESPACES, { name }, { signal });
    return found?.metadata?.deletionTimestamp !== undefined;
  } catch (error) {
    if (error instanceof ForbiddenError) return false;
    throw error;
  }
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}
