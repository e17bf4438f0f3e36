/** The pods behind a Service: ready ones alone, with the port that its target port means. */
import { expect, onTestFinished, test } from "vitest";
import { MockApiServer } from "../testing/index.ts";
import { NotFoundError } from "./errors.ts";
import { KubeClient } from "./kube-client.ts";
import { PODS } from "./kubernetes-kinds.ts";
import type { Pod } from "./kubernetes-kinds.ts";
import { findServicePods, SERVICES } from "./service-pods.ts";

const LABELS = { app: "gateway" };
const SERVICE = { namespace: "memflow", name: "memflow-gateway" };

function pod(name: string, change: Partial<Pod> = {}): Pod {
  return {
    metadata: { name, namespace: "memflow", labels: LABELS },
    spec: { containers: [{ name: "gateway", ports: [{ name: "https", containerPort: 8443 }] }] },
    status: { conditions: [{ type: "Ready", status: "True" }] },
    ...change,
  };
}

async function setup(pods: readonly Pod[]): Promise<KubeClient> {
  const api = await MockApiServer.start({ types: [SERVICES, PODS] });
  const client = new KubeClient({ kubeConfig: api.kubeConfig() });
  onTestFinished(async () => {
    await client.close();
    await api.close();
  });
  api.cluster.create(SERVICES, {
    metadata: SERVICE,
    spec: { selector: LABELS, ports: [{ name: "https", port: 443, targetPort: "https" }] },
  });
  for (const one of pods) api.cluster.create(PODS, one);
  return client;
}

test("ready pods are found with the number of the named port, others are not", async () => {
  const client = await setup([
    pod("ready"),
    pod("starting", { status: { conditions: [{ type: "Ready", status: "False" }] } }),
    pod("other", { metadata: { name: "other", namespace: "memflow", labels: { app: "operator" } } }),
  ]);
  expect(await findServicePods(client, { service: SERVICE, portName: "https" })).toEqual([
    { namespace: "memflow", pod: "ready", port: 8443 },
  ]);
});

test("the order is one of chance", async () => {
  const client = await setup([pod("a"), pod("b")]);
  const names = async (first: number): Promise<readonly string[]> => {
    let next = first;
    const found = await findServicePods(client, { service: SERVICE, random: () => (next = 1 - next) });
    return found.map((one) => one.pod);
  };
  expect(await names(0)).toEqual(["b", "a"]);
  expect(await names(1)).toEqual(["a", "b"]);
});

test("a Service that is not there is an error", async () => {
  const client = await setup([]);
  await expect(findServicePods(client, { service: { ...SERVICE, name: "none" } })).rejects.toThrow(
    NotFoundError,
  );
});
