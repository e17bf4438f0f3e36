/** Nodes that only seem to run pods: enough of them for loads that no test machine carries. */
import type { V1Deployment } from "@kubernetes/client-node";
import { namespaced } from "@memflow/operator/kube";
import type { Wire } from "@memflow/operator/kube";
import { expect } from "vitest";
import { useCluster } from "../cluster/testing/index.ts";

const { scenario } = useCluster({ form: "fake-nodes", fakeNodeCount: 3 });

const DEPLOYMENTS = namespaced<Wire<V1Deployment>>("apps/v1", "Deployment", "deployments");
const REPLICAS = 300;

scenario("pods on fake nodes become Ready, more than one real node takes", async (bench) => {
  await bench.kubectl(["create", "deployment", "crowd", "--image", "none", "--replicas", String(REPLICAS)]);
  const crowd = await bench.waitFor({
    type: DEPLOYMENTS,
    name: "crowd",
    until: (deployment) => deployment?.status?.readyReplicas === REPLICAS,
  });
  expect(crowd.status?.availableReplicas).toBe(REPLICAS);
});
