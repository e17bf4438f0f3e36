/** What a cluster says about MemFlow in a Kubernetes namespace: objects, pods, Events, and the last lines of our own processes. */
import { EVENTS, PODS } from "@memflow/operator/kube";
import type { Pod } from "@memflow/operator/kube";
import { text } from "node:stream/consumers";
import { Readable } from "node:stream";
import { listAll, SCHEDULES, STORES, TASK_QUEUES, WORKFLOWS } from "./cluster.ts";
import type { Cluster } from "./cluster.ts";

const OUR_PODS = "app.kubernetes.io/part-of=memflow";
const LINES = 200;

/** Each part by its name; each may be refused by itself. */
export function readClusterFacts(
  cluster: Cluster,
  namespace: string,
): Readonly<Record<string, () => Promise<unknown>>> {
  return {
    stores: () => listAll(cluster, STORES, { namespace }),
    taskQueues: () => listAll(cluster, TASK_QUEUES, { namespace }),
    workflowObjects: () => listAll(cluster, WORKFLOWS, { namespace }),
    scheduleObjects: () => listAll(cluster, SCHEDULES, { namespace }),
    events: async () => {
      const events = await listAll(cluster, EVENTS, { namespace });
      return events.filter(({ regarding }) => regarding?.apiVersion?.startsWith("memflow.io/") === true);
    },
    workerPods: async () =>
      (await listAll(cluster, PODS, { namespace, labelSelector: OUR_PODS })).map(podFacts),
    systemPods: async () => {
      const pods = await listAll(cluster, PODS, {
        namespace: cluster.gatewayNamespace,
        labelSelector: OUR_PODS,
      });
      return Promise.all(pods.map(async (pod) => ({ ...podFacts(pod), log: await lastLines(cluster, pod) })));
    },
  };
}

function podFacts({ metadata, spec, status }: Pod): object {
  return {
    name: metadata?.name,
    labels: metadata?.labels,
    node: spec?.nodeName,
    images: spec?.containers.map(({ image }) => image),
    phase: status?.phase,
    conditions: status?.conditions,
    containers: status?.containerStatuses?.map(({ name, restartCount, state, lastState }) => ({
      name,
      restartCount,
      state,
      lastState,
    })),
  };
}

async function lastLines({ kube }: Cluster, { metadata }: Pod): Promise<unknown> {
  const name = { namespace: metadata?.namespace, name: metadata?.name ?? "" };
  try {
    const log = await kube.readLog(name, { tailLines: LINES });
    return (await text(Readable.from(log))).split("\n");
  } catch (error) {
    return { unavailable: error instanceof Error ? error.message : String(error) };
  }
}
