/** What the operator makes of a TaskQueue's workers. */
import { expect, test } from "vitest";
import { taskQueue, workersWith } from "../testing/task-queues.ts";
import type { Manifest } from "../testing/task-queues.ts";
import { buildFingerprint } from "./build-fingerprint.ts";
import type { CodeFiles } from "./code-files.ts";
import { podTemplateOf, withStore } from "./pod-template.ts";
import type { PodTemplate } from "./pod-template.ts";
import {
  bareDeploymentOf,
  codeConfigMapOf,
  deploymentOf,
  disruptionBudgetOf,
  revisionOf,
  serviceAccountOf,
} from "./worker-objects.ts";

const IMAGE = { ref: "memflow/worker:1", pullPolicy: "IfNotPresent" } as const;
const FILES: CodeFiles = {
  files: { "index.mjs": "export {};", "a/b.ts": "", "z.ts": "" },
  module: "index.mjs",
};

function render(spec: Manifest = {}, code?: CodeFiles): PodTemplate {
  const queue = taskQueue(spec);
  return podTemplateOf({
    taskQueue: queue,
    queueName: "orders",
    buildId: "b1",
    serviceAccountName: "memflow-worker-orders",
    workerImage: IMAGE,
    code: code && { files: code, configMapName: "orders-code" },
  });
}

function workerOf(template: PodTemplate): Manifest {
  const containers = template.spec["containers"] as readonly Manifest[];
  return containers.find(({ name }) => name === "worker") ?? {};
}

function envOf(template: PodTemplate): Record<string, unknown> {
  const env = workerOf(template)["env"] as readonly { name: string; value?: string }[];
  return Object.fromEntries(env.map(({ name, value, ...rest }) => [name, value ?? rest]));
}

test("pods run under Pod Security restricted without a word of the user", () => {
  const template = render();
  expect(template.spec).toMatchObject({
    automountServiceAccountToken: false,
    serviceAccountName: "memflow-worker-orders",
    securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
    volumes: [{ name: "tmp", emptyDir: {} }],
  });
  expect(workerOf(template)).toMatchObject({
    image: "shop/orders:1",
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    },
    volumeMounts: [{ name: "tmp", mountPath: "/tmp" }],
  });
});

test("a worker that starts slowly is not judged before it listens, and one that is busy not soon", () => {
  const { startupProbe, livenessProbe } = workerOf(render()) as Record<string, Record<string, number>>;
  const patience = (probe: Record<string, number> = {}): number =>
    (probe["periodSeconds"] ?? 0) * (probe["failureThreshold"] ?? 0);
  expect([patience(startupProbe), patience(livenessProbe)]).toEqual([300, 60]);
});

test("a worker is told its queue, build, slots and time to finish; an image knows itself where its code is", () => {
  const template = render(
    workersWith({
      drain: { timeout: "1500ms" },
      concurrency: { activities: 7, workflowTasks: 8 },
      env: [{ name: "A", value: "b" }],
    }),
  );
  expect(envOf(template)).toEqual({
    MEMFLOW_TASK_QUEUE: "orders",
    MEMFLOW_BUILD_ID: "b1",
    MEMFLOW_MAX_ACTIVITIES: "7",
    MEMFLOW_MAX_RUNS: "8",
    MEMFLOW_GRACE_MS: "1500",
    MEMFLOW_PORT: "8080",
    A: "b",
  });
  expect(template.spec["terminationGracePeriodSeconds"]).toBe(2 + 15);
});

test("what MemFlow counts on can't be set by the user, in no place", () => {
  const podTemplate = {
    spec: { containers: [{ name: "worker", env: [{ name: "MEMFLOW_TASK_QUEUE", value: "theirs" }] }] },
    metadata: { labels: { "memflow.io/build": "theirs", team: "a" } },
  };
  const env = [{ name: "MEMFLOW_BUILD_ID", value: "theirs" }];
  const template = render(workersWith({ podTemplate, env }));
  expect(envOf(template)).toMatchObject({ MEMFLOW_TASK_QUEUE: "orders", MEMFLOW_BUILD_ID: "b1" });
  expect(template.metadata.labels).toMatchObject({ "memflow.io/build": "b1", team: "a" });
});

test("the user's pod template is merged over the defaults, container by container", () => {
  const spec = {
    priorityClassName: "low",
    securityContext: { runAsUser: 7 },
    containers: [
      { name: "worker", env: null, livenessProbe: null },
      { name: "proxy", image: "proxy:1" },
    ],
    volumes: [
      { name: "tmp", emptyDir: { sizeLimit: "1Gi" } },
      { name: "cache", emptyDir: {} },
    ],
  };
  const template = render(workersWith({ podTemplate: { spec, metadata: { annotations: { a: "b" } } } }));
  expect(template.spec).toMatchObject({
    priorityClassName: "low",
    securityContext: { runAsUser: 7, runAsNonRoot: true },
    volumes: spec.volumes,
    containers: [
      { name: "worker", image: "shop/orders:1" },
      { name: "proxy", image: "proxy:1" },
    ],
  });
  expect(workerOf(template)).not.toHaveProperty("livenessProbe");
  expect(envOf(template)).toHaveProperty("MEMFLOW_TASK_QUEUE");
  expect(template.metadata.annotations).toEqual({ a: "b" });
});

test("what stands in a TaskQueue for pods stands in the pods", () => {
  const template = render({
    workers: {
      source: { image: { ref: "i", pullPolicy: "Always", pullSecrets: [{ name: "s" }] } },
      serviceAccountName: "mine",
      nodeSelector: { disk: "ssd" },
      tolerations: [{ key: "k", operator: "Exists" }],
      affinity: { nodeAffinity: {} },
      topologySpreadConstraints: [{ topologyKey: "zone" }],
      envFrom: [{ secretRef: { name: "e" } }],
      resources: { requests: { cpu: "1" } },
    },
  });
  expect(template.spec).toMatchObject({
    serviceAccountName: "mine",
    imagePullSecrets: [{ name: "s" }],
    nodeSelector: { disk: "ssd" },
    tolerations: [{ key: "k" }],
    affinity: { nodeAffinity: {} },
    topologySpreadConstraints: [
      { topologyKey: "zone", labelSelector: { matchLabels: { "memflow.io/task-queue": "orders" } } },
    ],
  });
  expect(workerOf(template)).toMatchObject({
    imagePullPolicy: "Always",
    envFrom: [{ secretRef: { name: "e" } }],
    resources: { requests: { cpu: "1" } },
  });
});

test("inline code is mounted from a copy, and run by the operator's worker image unless another is named", () => {
  const template = render({ workers: { source: { code: {} } } }, FILES);
  expect(workerOf(template)).toMatchObject({ image: IMAGE.ref, imagePullPolicy: IMAGE.pullPolicy });
  expect(envOf(template)).toMatchObject({ MEMFLOW_MODULE: "/app/code/index.mjs" });
  const items = [
    { key: "0-a-b.ts", path: "a/b.ts" },
    { key: "1-index.mjs", path: "index.mjs" },
    { key: "2-z.ts", path: "z.ts" },
  ];
  expect(template.spec["volumes"]).toContainEqual({
    name: "code",
    configMap: { name: "orders-code", items },
  });
  const named = render(
    { workers: { source: { code: { runtimeImage: "own:1" } } } },
    { ...FILES, module: "" },
  );
  expect(workerOf(named)).toMatchObject({ image: "own:1" });
  expect(envOf(named)).toMatchObject({ MEMFLOW_MODULE: "/app/code" });
});

test("an artefact is an image that is mounted", () => {
  const artifact = { image: "shop/code:1", path: "/dist", pullPolicy: "Never" };
  const template = render({ workers: { source: { artifact } } });
  expect(template.spec["volumes"]).toContainEqual({
    name: "code",
    image: { reference: "shop/code:1", pullPolicy: "Never" },
  });
  expect(envOf(template)).toMatchObject({ MEMFLOW_MODULE: "/mnt/artifact/dist" });
  expect(workerOf(template)).toMatchObject({ image: IMAGE.ref });
  const own = render({ workers: { source: { artifact: { ...artifact, runtimeImage: "own:1" } } } });
  expect(workerOf(own)).toMatchObject({ image: "own:1" });
});

const STORE = { secretName: "main-worker", schema: "shop", credentialsHash: "h1", connectionMax: 6 };

test("the Store is laid over a template: its connection, and what rolls pods for new credentials", () => {
  const template = withStore(render(), STORE);
  expect(envOf(template)).toMatchObject({
    MEMFLOW_DATABASE_URL: { valueFrom: { secretKeyRef: { name: "main-worker", key: "uri" } } },
    MEMFLOW_DIRECT_DATABASE_URL: {
      valueFrom: { secretKeyRef: { name: "main-worker", key: "directUri", optional: true } },
    },
    MEMFLOW_NAMESPACE: "shop",
    MEMFLOW_MAX_CONNECTIONS: "6",
    MEMFLOW_TASK_QUEUE: "orders",
  });
  expect(template.metadata.annotations).toEqual({ "memflow.io/credentials": "h1" });
});

test("the authority of the Store's server is where its connection strings say, beside the user's own volumes", () => {
  const spec = {
    volumes: [{ name: "cache", emptyDir: {} }],
    containers: [{ name: "worker", volumeMounts: [{ name: "cache", mountPath: "/cache" }] }],
  };
  const template = withStore(render(workersWith({ podTemplate: { spec } })), STORE);
  const items = [{ key: "ca.crt", path: "ca.crt" }];
  expect(template.spec["volumes"]).toEqual([
    { name: "tmp", emptyDir: {} },
    { name: "cache", emptyDir: {} },
    { name: "memflow-store", secret: { secretName: "main-worker", items, optional: true } },
  ]);
  expect(workerOf(template)["volumeMounts"]).toEqual([
    { name: "tmp", mountPath: "/tmp" },
    { name: "cache", mountPath: "/cache" },
    { name: "memflow-store", mountPath: "/etc/memflow/store", readOnly: true },
  ]);
});

test("a build is what the user wrote: image, code, environment, resources, and nothing of the operator", () => {
  const print = (spec: Manifest = {}, code?: CodeFiles): string =>
    buildFingerprint(taskQueue(spec).spec.workers, code);
  // To change this text is to restart every worker of every cluster at an upgrade of the operator.
  expect(print()).toMatchInlineSnapshot(
    `"{"concurrency":{"activities":100,"workflowTasks":100},"drain":{"timeout":"60s"},"env":[],"envFrom":[],"source":{"image":{"ref":"shop/orders:1"}},"tolerations":[],"topologySpreadConstraints":[]}"`,
  );
  const changes: readonly Manifest[] = [
    workersWith({}, "shop/orders:2"),
    workersWith({ env: [{ name: "A", value: "1" }] }),
    workersWith({ envFrom: [{ secretRef: { name: "s" } }] }),
    workersWith({ resources: { limits: { memory: "1Gi" } } }),
    workersWith({ podTemplate: { metadata: { labels: { a: "b" } } } }),
    workersWith({ concurrency: { activities: 1 } }),
    workersWith({ drain: { timeout: "1s" } }),
  ];
  const prints = [print(), ...changes.map((spec) => print(spec)), print({}, FILES)];
  expect(new Set(prints).size).toBe(prints.length);
  expect(print({ ...workersWith({ pdb: { enabled: false } }), scaling: { maxReplicas: 3 } })).toBe(print());
});

test("a Deployment never says how many replicas it has, but for the bare one that begins at zero", () => {
  const build = { taskQueue: taskQueue(), buildId: "b1", deploymentName: "orders-12345678" };
  const template = render();
  const deployment = deploymentOf(build, template);
  expect(deployment.spec).not.toHaveProperty("replicas");
  expect(deployment).toMatchObject({
    metadata: {
      name: "orders-12345678",
      namespace: "shop",
      labels: { "memflow.io/task-queue": "orders", "memflow.io/build": "b1" },
      ownerReferences: [{ kind: "TaskQueue", uid: "uid-1", controller: true }],
    },
    spec: { strategy: { rollingUpdate: { maxUnavailable: 0 } } },
  });
  const bare = bareDeploymentOf(build, template);
  expect(bare.metadata?.labels).toBeUndefined();
  expect(bare.spec).toEqual({
    replicas: 0,
    selector: deployment.spec?.selector,
    template: {
      metadata: { labels: deployment.spec?.selector.matchLabels },
      spec: { containers: [{ name: "worker", image: "shop/orders:1" }] },
    },
  });
});

test("what else is made belongs to the queue too", () => {
  const queue = taskQueue(workersWith({ pdb: { maxUnavailable: 2 } }));
  const build = { taskQueue: queue, buildId: "b1", deploymentName: "orders-1" };
  const template = render();
  const made = [
    disruptionBudgetOf(queue, "budget"),
    serviceAccountOf(queue, "account"),
    codeConfigMapOf(build, FILES, "copy"),
    revisionOf(build, { template }, { name: "revision", revision: 3 }),
  ];
  for (const { metadata } of made) {
    expect(metadata).toMatchObject({ namespace: "shop", ownerReferences: [{ uid: "uid-1" }] });
  }
  expect(made).toMatchObject([
    { spec: { maxUnavailable: 2, selector: { matchLabels: { "memflow.io/task-queue": "orders" } } } },
    { automountServiceAccountToken: false },
    { immutable: true, data: { "0-a-b.ts": "", "1-index.mjs": "export {};", "2-z.ts": "" } },
    { revision: 3, data: { template: { spec: {} } } },
  ]);
});
