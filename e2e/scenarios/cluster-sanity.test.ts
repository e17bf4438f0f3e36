/** The cluster itself: what scenarios rely on works, before they are to blame. */
import type { V1Deployment, V1Pod } from "@kubernetes/client-node";
import { namespaced } from "@memflow/operator/kube";
import type { Wire } from "@memflow/operator/kube";
import { expect } from "vitest";
import { baseImageArchive, BASE_IMAGE_TAGS } from "../cluster/base-images.ts";
import { startPostgres, useCluster } from "../cluster/testing/index.ts";
import type { ScenarioBench } from "../cluster/testing/index.ts";

const { scenario } = useCluster();

const DEPLOYMENTS = namespaced<Wire<V1Deployment>>("apps/v1", "Deployment", "deployments");
const PODS = namespaced<Wire<V1Pod>>("v1", "Pod", "pods");

const SERVER = `
  const server = require("node:http").createServer((request, response) => {
    console.log("asked for", request.url);
    response.end(require("node:os").hostname());
  });
  server.listen(8080);
  process.once("SIGTERM", () => server.close(() => process.exit(0)));`;

/** Three replicas of a small server behind a Service, as the strictest Pod Security wants them. */
const APPLICATION: readonly object[] = [
  {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "app" },
    spec: {
      replicas: 3,
      selector: { matchLabels: { app: "app" } },
      template: {
        metadata: { labels: { app: "app" } },
        spec: {
          terminationGracePeriodSeconds: 5,
          securityContext: {
            runAsNonRoot: true,
            runAsUser: 1000,
            seccompProfile: { type: "RuntimeDefault" },
          },
          containers: [
            {
              name: "app",
              image: BASE_IMAGE_TAGS.base,
              imagePullPolicy: "Never",
              command: ["node", "-e", SERVER],
              readinessProbe: { httpGet: { path: "/ready", port: 8080 }, periodSeconds: 1 },
              securityContext: {
                allowPrivilegeEscalation: false,
                capabilities: { drop: ["ALL"] },
                readOnlyRootFilesystem: true,
              },
            },
          ],
        },
      },
    },
  },
  {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "app" },
    spec: { selector: { app: "app" }, ports: [{ port: 80, targetPort: 8080 }] },
  },
];

async function startApplication(bench: ScenarioBench): Promise<void> {
  await bench.cluster.loadImages([await baseImageArchive("base")]);
  const restricted = "pod-security.kubernetes.io/enforce=restricted";
  await bench.cluster.kubectl(["label", "namespace", bench.namespace, restricted]);
  await bench.apply(APPLICATION);
  await readyReplicas(bench, 3);
}

async function readyReplicas(bench: ScenarioBench, count: number): Promise<void> {
  await bench.waitFor({
    type: DEPLOYMENTS,
    name: "app",
    until: (deployment) =>
      (deployment?.status?.readyReplicas ?? 0) === count &&
      deployment?.status?.observedGeneration === deployment?.metadata?.generation,
  });
}

/** Asks from inside the cluster. Readiness comes before the node's rules for the Service, so the question is put again. */
async function askByName(bench: ScenarioBench, path: string): Promise<string> {
  const url = `http://app.${bench.namespace}.svc.cluster.local/${path}`;
  const ask = `
    const ask = async (rest) => {
      try { return await (await fetch("${url}")).text(); }
      catch (error) { if (rest === 0) throw error; await new Promise((next) => setTimeout(next, 200)); return ask(rest - 1); }
    };
    ask(50).then((text) => process.stdout.write(text));`;
  return bench.kubectl(["exec", "deployment/app", "--", "node", "-e", ask]);
}

scenario("pods run under Pod Security restricted, and a Service finds them by its name", async (bench) => {
  await startApplication(bench);
  expect(await askByName(bench, "hello")).toMatch(/^app-/u);
  const logs = await bench.kubectl(["logs", "-l", "app=app", "--prefix"]);
  expect(logs).toContain("asked for /hello");
});

scenario("a Deployment goes to zero and comes back", async (bench) => {
  await startApplication(bench);
  await bench.kubectl(["scale", "deployment/app", "--replicas", "0"]);
  await bench.kubectl(["wait", "pod", "-l", "app=app", "--for", "delete", "--timeout", "60s"]);
  await bench.kubectl(["scale", "deployment/app", "--replicas", "1"]);
  await readyReplicas(bench, 1);
});

scenario("Postgres runs in the cluster, and a test asks it by SQL", async (bench) => {
  const database = await startPostgres(bench);
  const { rows } = await database.query("select current_user as name");
  expect(rows).toEqual([{ name: "memflow" }]);
});

scenario("a pod that comes to an end says so", async (bench) => {
  await bench.cluster.loadImages([await baseImageArchive("base")]);
  await bench.apply({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "once" },
    spec: {
      restartPolicy: "Never",
      containers: [
        {
          name: "once",
          image: BASE_IMAGE_TAGS.base,
          imagePullPolicy: "Never",
          command: ["node", "-e", "process.exitCode = 3"],
        },
      ],
    },
  });
  const pod = await bench.waitFor({
    type: PODS,
    name: "once",
    until: (object) => object?.status?.phase === "Failed",
  });
  expect(pod.status?.containerStatuses?.[0]?.state?.terminated?.exitCode).toBe(3);
});
