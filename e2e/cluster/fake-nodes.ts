/** Nodes that KWOK plays: pods on them become Ready at once and run nothing. */
import type { Cluster } from "./provider.ts";

const READY_LIMIT = "60s";

/** Registers nodes `fake-1`, `fake-2`... and waits until they are Ready. Nothing else can be scheduled, so they take all pods. */
export async function applyFakeNodes(cluster: Pick<Cluster, "kubectl">, count: number): Promise<void> {
  const nodes = Array.from({ length: count }, (_, index) => fakeNode(`fake-${index + 1}`));
  await cluster.kubectl(
    ["apply", "-f", "-"],
    JSON.stringify({ apiVersion: "v1", kind: "List", items: nodes }),
  );
  await cluster.kubectl(["wait", "node", "--all", "--for", "condition=Ready", "--timeout", READY_LIMIT]);
}

function fakeNode(name: string): object {
  const capacity = { cpu: "64", memory: "256Gi", pods: "250" };
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: {
      name,
      annotations: { "kwok.x-k8s.io/node": "fake" },
      labels: { "kubernetes.io/hostname": name },
    },
    status: { capacity, allocatable: capacity },
  };
}
