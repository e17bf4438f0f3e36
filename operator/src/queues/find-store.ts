/** Whether the Store of a TaskQueue can serve it, and what its pods take from it. */
import { queueNameOf } from "@memflow/crds";
import type { TaskQueue } from "@memflow/crds";
import { findCondition, holds, INDEX, readStore } from "../api/index.ts";
import type { ConnectedStore, OperatorDependencies, TaskQueueObject } from "../api/index.ts";
import type { StorePart } from "./core/pod-template.ts";
import type { ClaimFacts } from "./core/queue-claims.ts";

/** The Store, or what stands against it. */
export type FoundStore =
  | { readonly kind: "Found"; readonly connected: ConnectedStore; readonly part: StorePart }
  | { readonly kind: "Missing"; readonly hindrance: NonNullable<ClaimFacts["store"]> };

/** The key of a TaskQueue's Store. */
export function storeKeyOf({ metadata, spec }: TaskQueue): string {
  return `${metadata.namespace ?? ""}/${spec.storeRef.name}`;
}

/** Looks for it. */
export function findStore(
  { followed, stores }: Pick<OperatorDependencies, "followed" | "stores">,
  taskQueue: TaskQueue,
): FoundStore {
  const key = storeKeyOf(taskQueue);
  const { name } = taskQueue.spec.storeRef;
  const object = followed.stores.store.get(key);
  if (object === undefined) {
    return missing("StoreNotFound", `there is no Store "${name}" in this Kubernetes namespace: apply it`);
  }
  const taker = findElder(
    followed.taskQueues.store.find(INDEX.queueName, `${key}/${queueNameOf(taskQueue)}`),
    taskQueue,
  );
  if (taker !== undefined) {
    const message = `TaskQueue "${taker}" has the queueName "${queueNameOf(taskQueue)}" in Store "${name}" already: delete one of them`;
    return missing("QueueNameTaken", message);
  }
  const connected = stores.find(key);
  const { workerSecret, credentialsHash } = object.status ?? {};
  if (!holds(object, "Ready") || connected === undefined || workerSecret === undefined) {
    const why = findCondition(object.status, "Ready")?.message ?? "nobody has looked at it yet";
    return missing("StoreNotReady", `Store "${name}" is not ready: ${why}`);
  }
  const reading = readStore(object);
  if (reading.kind === "Faulty")
    return missing("StoreNotReady", `Store "${name}" is not valid: ${reading.message}`);
  const part = {
    connectionMax: reading.resource.spec.pool.maxPerWorker,
    secretName: workerSecret.name,
    schema: connected.schema,
    credentialsHash: credentialsHash ?? "",
  };
  return { kind: "Found", connected, part };
}

function missing(reason: NonNullable<ClaimFacts["store"]>["reason"], message: string): FoundStore {
  return { kind: "Missing", hindrance: { reason, message } };
}

/** @returns The name of the oldest of the TaskQueues with the same queue, if that is another one. */
function findElder(objects: readonly TaskQueueObject[], taskQueue: TaskQueue): string | undefined {
  const [eldest] = objects.toSorted((left, right) => (ageOf(left) < ageOf(right) ? -1 : 1));
  const { uid, name } = eldest?.metadata ?? {};
  return uid === taskQueue.metadata.uid ? undefined : name;
}

function ageOf({ metadata }: TaskQueueObject): string {
  return `${metadata?.creationTimestamp ?? ""} ${metadata?.uid ?? ""}`;
}
