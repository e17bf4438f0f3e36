/** TaskQueues as manifests say them, with their defaults. */
import { taskQueueSchema } from "@memflow/crds";
import type { TaskQueue } from "@memflow/crds";

/** Anything that a manifest may say. */
export type Manifest = Readonly<Record<string, unknown>>;

/** A TaskQueue `orders` in the Kubernetes namespace `shop`, of the Store `main`. */
export function taskQueue(spec: Manifest = {}, metadata: Manifest = {}): TaskQueue {
  return taskQueueSchema.parse(taskQueueManifest(spec, metadata));
}

/** The same as it is applied. */
export function taskQueueManifest(spec: Manifest = {}, metadata: Manifest = {}): Manifest {
  return {
    apiVersion: "memflow.io/v1alpha1",
    kind: "TaskQueue",
    metadata: { name: "orders", namespace: "shop", uid: "uid-1", ...metadata },
    spec: { storeRef: { name: "main" }, workers: { source: { image: { ref: "shop/orders:1" } } }, ...spec },
  };
}

/** `spec.workers` with an image and anything else. */
export function workersWith(rest: Manifest, ref = "shop/orders:1"): Manifest {
  return { workers: { source: { image: { ref } }, ...rest } };
}
