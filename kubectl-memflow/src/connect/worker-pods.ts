/** The worker pods of a queue and what they wrote. With the caller's own rights. */
import { PODS } from "@memflow/operator/kube";
import type { LogOptions } from "@memflow/operator/kube";
import { listAll } from "./cluster.ts";
import type { Cluster } from "./cluster.ts";

/** A pod. */
export interface Pod {
  readonly namespace: string;
  readonly name: string;
}

const QUEUE_LABEL = "memflow.io/task-queue";
const WORKER_CONTAINER = "worker";

/** Those of a TaskQueue, by name. */
export async function listWorkerPods(
  cluster: Cluster,
  namespace: string,
  taskQueue: string,
): Promise<readonly Pod[]> {
  const pods = await listAll(cluster, PODS, { namespace, labelSelector: `${QUEUE_LABEL}=${taskQueue}` });
  return pods.map(({ metadata }) => ({ namespace, name: metadata?.name ?? "" }));
}

/** The log of its worker; see `KubeClient.readLog`. */
export function readPodLog(
  { kube }: Cluster,
  pod: Pod,
  options: Omit<LogOptions, "container">,
): Promise<AsyncIterable<Buffer>> {
  return kube.readLog(pod, { ...options, container: WORKER_CONTAINER });
}
