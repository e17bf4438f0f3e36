/** The life of TaskQueues in a cluster and a database. */
import { expect, test } from "vitest";
import { STORES, TASK_QUEUES } from "../api/index.ts";
import {
  CONFIG_MAPS,
  CONTROLLER_REVISIONS,
  DEPLOYMENTS,
  POD_DISRUPTION_BUDGETS,
  SECRETS,
} from "../kube/index.ts";
import type { KubeObject } from "../kube/index.ts";
import { startQueueCluster } from "./testing/queue-cluster.ts";
import type { QueueCluster } from "./testing/queue-cluster.ts";
import { workersWith } from "./testing/task-queues.ts";
import type { Manifest } from "./testing/task-queues.ts";

/** A spec whose build has a name. */
function build(buildId: string, versioning: Manifest = {}, rest: Manifest = {}): Manifest {
  return { ...workersWith({}, `shop/orders:${buildId}`), versioning: { buildId, ...versioning }, ...rest };
}

const QUEUE = { namespace: "shop", name: "orders" } as const;

async function servingCluster(versioning: Manifest = {}): Promise<QueueCluster> {
  const cluster = await startQueueCluster();
  cluster.apply(build("b1", versioning));
  await cluster.settle();
  return cluster;
}

function eventsOf({ events }: QueueCluster): readonly string[] {
  return events.map(({ reason }) => reason);
}

test("a new queue has a Deployment at zero, accepts runs at once, and says so", async () => {
  const cluster = await servingCluster();
  expect(cluster.deployments).toMatchObject([{ spec: { replicas: 0 } }]);
  expect(await cluster.routes()).toEqual(["b1 Current 100"]);
  expect(cluster.status()).toMatchObject({
    currentBuildId: "b1",
    targetBuildId: "b1",
    replicas: 0,
    selector: "memflow.io/task-queue=orders",
    versions: [{ buildId: "b1", phase: "Current", revision: expect.stringContaining("orders-") as string }],
  });
  expect(cluster.condition("Ready")).toBe("True ScaledToZero");
  expect(eventsOf(cluster)).toEqual(["VersionCreated", "VersionPromoted"]);
  expect(cluster.api.cluster.list(POD_DISRUPTION_BUDGETS)).toHaveLength(1);
});

test("a queue at rest costs no write, neither for the same process nor for the next one", async () => {
  const cluster = await servingCluster();
  expect(await cluster.pass()).toEqual({ requeueAfterMs: undefined, writeCount: 0 });
  cluster.restart();
  expect(await cluster.pass()).toEqual({ requeueAfterMs: undefined, writeCount: 0 });
});

test("what a former leader sends late is refused, also when the next one had nothing to write", async () => {
  const cluster = await startQueueCluster();
  cluster.apply();
  await cluster.settle();
  cluster.restart();
  await cluster.settle();
  const late = cluster.database.sql("select :schema.set_queue_builds('orders', '{\"builds\": []}', 1)");
  await expect(late).rejects.toMatchObject({ code: "MF010" });
});

test("replicas are others': no write of ours touches them", async () => {
  const cluster = await servingCluster();
  cluster.run("b1", 3);
  cluster.rotateCredentials("c2");
  await cluster.settle();
  expect(cluster.deploymentOf("b1")).toMatchObject({
    spec: { replicas: 3, template: { metadata: { annotations: { "memflow.io/credentials": "c2" } } } },
  });
  expect(cluster.status()).toMatchObject({ replicas: 3, readyReplicas: 3, versions: [{ buildId: "b1" }] });
  expect(cluster.condition("Ready")).toBe("True Serving");
});

test("a new image is another build: it takes over once a worker is ready, and the old one keeps its runs", async () => {
  const cluster = await servingCluster();
  cluster.run("b1", 1);
  cluster.apply(build("b2"));
  await cluster.settle();
  expect(cluster.phases()).toEqual({ b1: "Current", b2: "Pending" });
  expect(cluster.condition("Progressing")).toBe("True NewBuildStarting");
  expect(cluster.condition("Ready")).toBe("False RolloutInProgress");
  await cluster.database.insertRun({ task_queue: "orders", build_id: "b1" });
  cluster.run("b2", 1);
  const { requeueAfterMs } = await cluster.settle();
  expect(cluster.phases()).toEqual({ b2: "Current", b1: "Draining" });
  expect(await cluster.routes()).toEqual(["b1 Draining 0", "b2 Current 100"]);
  expect(cluster.status()?.versions?.[1]).toMatchObject({ pinnedRuns: 1, unassigned: 1 });
  expect(cluster.condition("Draining")).toBe("True PinnedRuns");
  expect(requeueAfterMs).toBe(15_000);
});

test("with AutoUpgrade nothing stays pinned to an old build, also when whoever said so ended before it let go", async () => {
  const cluster = await servingCluster({ strategy: "AutoUpgrade" });
  const pins = (): Promise<unknown> => cluster.database.sql("select build_id from :schema.runs");
  cluster.run("b1", 1);
  await cluster.database.insertRun({ task_queue: "orders", build_id: "b1" });
  cluster.apply(build("b2", { strategy: "AutoUpgrade" }));
  await cluster.settle();
  cluster.run("b2", 1);
  await cluster.settle();
  expect(await pins()).toEqual([{ build_id: null }]);
  // As a process leaves it that is killed between the routes and the runs.
  await cluster.database.sql(
    `select :schema.set_queue_builds('orders', '{"pinning": "AutoUpgrade", "builds": [
      {"buildId": "b1", "role": "Draining", "sharePercent": 0}, {"buildId": "b2", "role": "Current", "sharePercent": 100}]}', 1)`,
  );
  await cluster.database.sql("update :schema.runs set build_id = 'b1'");
  await cluster.settle();
  expect(await pins()).toEqual([{ build_id: null }]);
});

test("a drained build stays for its delays and then leaves nothing behind", async () => {
  const cluster = await servingCluster({ draining: { scaledownDelay: "1m", deleteDelay: "1m" } });
  cluster.apply(build("b2", { draining: { scaledownDelay: "1m", deleteDelay: "1m" } }));
  await cluster.settle();
  cluster.run("b2", 1);
  const { requeueAfterMs = 0 } = await cluster.settle();
  expect(cluster.phases()).toEqual({ b2: "Current", b1: "Drained" });
  cluster.clock.advance(requeueAfterMs);
  await cluster.settle();
  expect(cluster.phases()).toEqual({ b2: "Current" });
  expect(cluster.deployments).toHaveLength(1);
  expect(cluster.api.cluster.list(CONTROLLER_REVISIONS)).toHaveLength(1);
  expect(await cluster.routes()).toEqual(["b2 Current 100"]);
  expect(eventsOf(cluster).slice(-2)).toEqual(["VersionDrained", "VersionDeleted"]);
});

test("back to the image before: its build is current again at once, without a ready worker", async () => {
  const cluster = await servingCluster();
  cluster.apply(build("b2"));
  await cluster.settle();
  cluster.run("b2", 1);
  await cluster.settle();
  cluster.apply(build("b1"));
  const [deployment] = cluster.deployments.filter(
    ({ metadata }) => metadata?.labels?.["memflow.io/build"] === "b1",
  );
  await cluster.pass();
  expect(cluster.phases()).toMatchObject({ b1: "Current" });
  expect(await cluster.routes()).toEqual(["b1 Current 100", "b2 Draining 0"]);
  await cluster.settle();
  expect(cluster.deploymentOf("b1").metadata?.uid).toBe(deployment?.metadata?.uid);
});

test("a new build that crashes is never promoted, and the old one keeps serving", async () => {
  const cluster = await servingCluster();
  cluster.run("b1", 1);
  cluster.apply(build("b2"));
  await cluster.settle();
  cluster.run("b2", 1, 0);
  cluster.wait("b2", "CrashLoopBackOff");
  await cluster.settle();
  expect(await cluster.routes()).toEqual(["b1 Current 100"]);
  expect(cluster.condition("Progressing")).toBe("True NewBuildStarting");
  expect(cluster.condition("Available")).toBe("True MinimumReplicasReady");
  expect(eventsOf(cluster)).toContain("RolloutBlocked");
});

test("a gate's run goes to the new build alone; a failure promotes nothing, another gate is tried anew", async () => {
  const gate = { rollout: { gate: { workflow: "smoke", input: { n: 1 } } } };
  const cluster = await servingCluster();
  cluster.apply(build("b2", gate));
  await cluster.settle();
  cluster.run("b2", 1);
  await cluster.settle();
  const runs = await cluster.database.sql<{ workflow_id: string }>(
    "select workflow_id, build_id, workflow_name, input, options from :schema.runs",
  );
  const once = { retry: { maximumAttempts: 1 } };
  expect(runs).toMatchObject([{ build_id: "b2", workflow_name: "smoke", input: [{ n: 1 }], options: once }]);
  expect(cluster.condition("Progressing")).toBe("True GateRunning");
  await cluster.database.sql(
    `update :schema.runs set status = 'failed', failure = '{"message": "boom"}', closed_at = now(), ready_at = null`,
  );
  await cluster.settle();
  expect(cluster.condition("Progressing")).toBe("False GateFailed");
  expect(await cluster.routes()).toEqual(["b1 Current 100"]);
  expect(eventsOf(cluster).slice(-2)).toEqual(["GateStarted", "GateFailed"]);
  cluster.restart();
  expect((await cluster.settle()).requeueAfterMs).toBeUndefined();

  cluster.apply(build("b2", { rollout: { gate: { workflow: "smoke", timeout: "5m" } } }));
  await cluster.settle();
  expect(await cluster.database.sql("select from :schema.runs")).toHaveLength(2);
  await cluster.database.sql(
    "update :schema.runs set status = 'completed', closed_at = now(), ready_at = null where status = 'running'",
  );
  await cluster.settle();
  expect(cluster.phases()).toMatchObject({ b2: "Current" });
});

test("a gate that takes too long is ended with all that it started, and so is one of a build that is left", async () => {
  const gate = { rollout: { gate: { workflow: "smoke", timeout: "1m" } } };
  const cluster = await servingCluster();
  const { database } = cluster;
  const open = (): Promise<readonly unknown[]> =>
    database.sql("select workflow_id from :schema.runs where status = 'running' order by workflow_id");
  cluster.apply(build("b2", gate));
  await cluster.settle();
  cluster.run("b2", 1);
  await cluster.settle();
  const [judge] = await database.sql<{ run_id: string }>("select run_id from :schema.runs");
  await database.insertRun({ task_queue: "orders", workflow_id: "its child", parent_run_id: judge?.run_id });
  await database.insertRun({ task_queue: "orders", workflow_id: "of others", build_id: "b2" });
  await database.sql("update :schema.runs set started_at = now() - interval '2 minutes'");
  await cluster.settle();
  expect(cluster.condition("Progressing")).toBe("False GateTimedOut");
  expect(await open()).toEqual([{ workflow_id: "of others" }]);
  cluster.restart();
  await cluster.settle();
  expect(cluster.condition("Progressing")).toBe("False GateTimedOut");
  expect(eventsOf(cluster).filter((reason) => reason === "GateFailed")).toHaveLength(1);
  await database.sql("delete from :schema.runs where workflow_id = 'of others'");

  cluster.apply(build("b3", gate));
  await cluster.settle();
  cluster.run("b3", 1);
  await cluster.settle();
  expect(await open()).toEqual([
    { workflow_id: expect.stringContaining("memflow-gate:orders:b3:") as string },
  ]);
  cluster.apply(build("b4"));
  await cluster.settle();
  expect(await open()).toEqual([]);
  expect(Object.keys(cluster.phases())).not.toContain("b3");

  // What was given up says nothing of the build.
  cluster.apply(build("b3", gate));
  await cluster.settle();
  cluster.run("b3", 1);
  await cluster.settle();
  expect(cluster.condition("Progressing")).toBe("True GateRunning");
});

test("a pod template that takes our mounts makes no build, says so, and leaves the one before", async () => {
  const cluster = await servingCluster();
  const volumeMounts = [{ name: "own", mountPath: "/etc/memflow/store" }];
  const spec = { containers: [{ name: "worker", volumeMounts }] };
  cluster.apply(workersWith({ podTemplate: { spec } }));
  await cluster.settle();
  expect(cluster.condition("Progressing")).toBe("False InvalidTemplate");
  expect(cluster.phases()).toEqual({ b1: "Current" });
  expect(eventsOf(cluster)).toContain("RolloutBlocked");
  cluster.apply(build("b1"));
  await cluster.settle();
  expect(cluster.condition("Progressing")).toBe("False RolloutComplete");
});

test("by hand, the annotation promotes, and the status says which value was acted on", async () => {
  const manual = { rollout: { strategy: "Manual" } };
  const cluster = await servingCluster(manual);
  cluster.apply(build("b2", manual));
  await cluster.settle();
  cluster.run("b2", 1);
  await cluster.settle();
  expect(cluster.condition("Progressing")).toBe("True WaitingForPromotion");
  cluster.apply(build("b2", manual), { annotations: { "memflow.io/promote": "b2" } });
  await cluster.settle();
  expect(cluster.status()).toMatchObject({ currentBuildId: "b2", lastPromotion: "b2" });
});

test("a rollout by steps shares new runs by percent and looks again in time", async () => {
  const steps = { rollout: { strategy: "Progressive", steps: [{ percent: 20, pause: "30s" }] } };
  const cluster = await servingCluster();
  cluster.apply(build("b2", steps));
  await cluster.settle();
  cluster.run("b2", 1);
  const { requeueAfterMs = 0 } = await cluster.settle();
  expect(await cluster.routes()).toEqual(["b1 Current 80", "b2 Ramping 20"]);
  expect(requeueAfterMs).toBe(30_000);
  cluster.clock.advance(requeueAfterMs);
  await cluster.pass();
  expect(await cluster.routes()).toEqual(["b1 Draining 0", "b2 Current 100"]);
});

test("too many draining builds hold the next one up", async () => {
  const capped = { draining: { maxVersions: 1 } };
  const cluster = await servingCluster(capped);
  await cluster.database.insertRun({ task_queue: "orders", build_id: "b1" });
  cluster.apply(build("b2", capped));
  await cluster.settle();
  cluster.run("b2", 1);
  await cluster.settle();
  cluster.apply(build("b3", capped));
  await cluster.settle();
  expect(cluster.condition("Progressing")).toBe("True TooManyBuilds");
  expect(cluster.phases()).toEqual({ b2: "Current", b1: "Draining" });
  await cluster.database.sql(
    "update :schema.runs set status = 'completed', closed_at = now(), ready_at = null",
  );
  await cluster.settle();
  expect(cluster.phases()).toEqual({ b2: "Current", b3: "Pending" });
});

test("another version of the operator restarts nothing: templates are kept", async () => {
  const cluster = await startQueueCluster();
  const spec = {
    workers: { source: { code: { configMapRef: { name: "code" } } } },
    versioning: { buildId: "b1" },
  };
  cluster.api.cluster.create(CONFIG_MAPS, {
    metadata: { name: "code", namespace: "shop" },
    data: { "index.mjs": "1" },
  });
  cluster.apply(spec);
  await cluster.settle();
  cluster.workerImage = "memflow/worker:2";
  cluster.restart();
  expect((await cluster.pass()).writeCount).toBe(0);
  expect(JSON.stringify(cluster.deploymentOf("b1"))).toContain("memflow/worker:1");
});

test("a Deployment that somebody deleted or changed is as it was again, old builds too", async () => {
  const cluster = await servingCluster();
  await cluster.database.insertRun({ task_queue: "orders", build_id: "b1" });
  cluster.apply(build("b2"));
  await cluster.settle();
  cluster.run("b2", 1);
  await cluster.settle();
  const before = cluster.deploymentOf("b1").spec;
  cluster.api.cluster.delete(DEPLOYMENTS, {
    namespace: "shop",
    name: cluster.deploymentOf("b1").metadata?.name ?? "",
  });
  const meddled = cluster.deploymentOf("b2");
  cluster.api.cluster.replace(DEPLOYMENTS, {
    ...meddled,
    spec: { ...meddled.spec, revisionHistoryLimit: 99 },
  } as typeof meddled);
  await cluster.settle();
  expect(cluster.deploymentOf("b1").spec).toEqual(before);
  expect(cluster.deploymentOf("b2").spec?.revisionHistoryLimit).toBe(2);
});

test("inline code is copied for each build, so that an old one keeps its own", async () => {
  const cluster = await startQueueCluster();
  const spec = { workers: { source: { code: { configMapRef: { name: "code" } } } } };
  const write = (text: string): void => {
    const metadata = { name: "code", namespace: "shop" };
    if (cluster.api.cluster.find(CONFIG_MAPS, metadata)) cluster.api.cluster.delete(CONFIG_MAPS, metadata);
    cluster.api.cluster.create(CONFIG_MAPS, { metadata, data: { "index.mjs": text } });
  };
  cluster.apply(spec);
  await cluster.settle();
  expect(cluster.condition("CodeReady")).toBe("False ConfigMapNotFound");
  expect(cluster.deployments).toHaveLength(0);
  write("1");
  await cluster.settle();
  write("2");
  await cluster.settle();
  expect(cluster.status()?.versions).toHaveLength(2);
  const copies = cluster.api.cluster
    .list(CONFIG_MAPS)
    .flatMap(({ immutable, data }) => (immutable ? [data] : []));
  expect(copies.map((data) => Object.values(data ?? {}).join("")).toSorted()).toEqual(["1", "2"]);
});

test("a Secret of the environment that is not there is told, and its workers wait for it", async () => {
  const cluster = await startQueueCluster();
  cluster.apply(workersWith({ envFrom: [{ secretRef: { name: "keys" } }] }));
  const { requeueAfterMs } = await cluster.settle();
  expect(cluster.condition("CodeReady")).toBe("False SecretNotFound");
  expect(requeueAfterMs).toBe(10_000);
  cluster.api.cluster.create(SECRETS, { metadata: { name: "keys", namespace: "shop" } });
  await cluster.settle();
  expect(cluster.condition("Ready")).toBe("True ScaledToZero");
});

test("a template that the API server refuses is told with its answer, and leaves nothing behind", async () => {
  const cluster = await servingCluster();
  cluster.api.faults.inject(
    { kind: "refuse", status: 422, reason: "Invalid" },
    { verbs: ["patch"], plural: "deployments" },
  );
  cluster.apply(build("b2"));
  await cluster.pass();
  expect(cluster.condition("Progressing")).toBe("False InvalidTemplate");
  expect(cluster.deployments).toHaveLength(1);
  expect(await cluster.routes()).toEqual(["b1 Current 100"]);
});

test("a server that drops image volumes without a word is told from one that has them", async () => {
  const spec = { workers: { source: { artifact: { image: "shop/code:1" } } } };
  const withVolumes = await startQueueCluster();
  withVolumes.apply(spec);
  await withVolumes.settle();
  expect(withVolumes.condition("CodeReady")).toBe("True SourceReady");
  const admit = (object: KubeObject): KubeObject =>
    JSON.parse(JSON.stringify(object), (key, value: unknown) =>
      key === "volumes" ? [] : value,
    ) as KubeObject;
  const without = await startQueueCluster({ admit });
  without.apply(spec);
  await without.pass();
  expect(without.condition("CodeReady")).toBe("False ImageVolumeUnsupported");
  expect(without.deployments).toEqual([]);
});

test("without its Store a queue changes nothing of what runs", async () => {
  const cluster = await servingCluster();
  cluster.run("b1", 2);
  await cluster.settle();
  const before = cluster.deployments;
  cluster.isConnected = false;
  cluster.apply(build("b2"));
  await cluster.settle();
  expect(cluster.condition("StoreReady")).toBe("False StoreNotReady");
  expect(cluster.phases()).toEqual({ b1: "Current" });
  cluster.api.cluster.delete(STORES, { namespace: "shop", name: "main" });
  await cluster.settle();
  expect(cluster.condition("StoreReady")).toBe("False StoreNotFound");
  expect(cluster.deployments).toEqual(before);
  expect(eventsOf(cluster).filter((reason) => reason === "StoreNotReady")).toHaveLength(1);
});

test("of two queues of one name in a Store the elder has it", async () => {
  const cluster = await servingCluster();
  cluster.apply({ queueName: "orders" }, { name: "rival" });
  await cluster.settle("rival");
  expect(cluster.condition("StoreReady", "rival")).toBe("False QueueNameTaken");
  expect(await cluster.routes()).toEqual(["b1 Current 100"]);
  cluster.api.cluster.delete(TASK_QUEUES, QUEUE);
  await cluster.settle("rival");
  expect(cluster.condition("StoreReady", "rival")).toBe("True StoreReady");
});

test("in place there is one Deployment, whose template changes", async () => {
  const inPlace = (ref: string): Manifest => ({
    ...workersWith({}, ref),
    versioning: { strategy: "InPlace" },
  });
  const cluster = await startQueueCluster();
  cluster.apply(inPlace("shop/orders:1"));
  await cluster.settle();
  cluster.run("in-place", 2);
  cluster.apply(inPlace("shop/orders:2"));
  await cluster.settle();
  expect(cluster.deployments).toHaveLength(1);
  expect(JSON.stringify(cluster.deploymentOf("in-place").spec?.template)).toContain("shop/orders:2");
  expect(cluster.phases()).toEqual({ "in-place": "Current" });
  expect(cluster.condition("Progressing")).toBe("True NewBuildStarting");
  cluster.run("in-place", 2, 2, 3);
  await cluster.settle();
  expect(cluster.condition("Progressing")).toBe("True NewBuildStarting");
  cluster.run("in-place", 2);
  await cluster.settle();
  expect(cluster.condition("Progressing")).toBe("False RolloutComplete");
});
