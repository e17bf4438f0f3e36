/**
 * Whatever is deleted, in whatever order: it goes, within the bounds that it was given, and a schema stays unless it is asked
 * to go. That objects can be deleted after `helm uninstall` is in the scenario of the quickstart.
 */
import { findCondition, TASK_QUEUES } from "@memflow/operator/api";
import { PODS } from "@memflow/operator/kube";
import { expect } from "vitest";
import {
  installOperator,
  startPostgres,
  startStore,
  taskQueue,
  useCluster,
  workerImageArchive,
} from "../cluster/testing/index.ts";
import type { ScenarioBench, ScenarioStore } from "../cluster/testing/index.ts";

const { scenario } = useCluster({ form: "node" });
const LIMIT_MS = 600_000;
const TAG = "deletion:v1";
const CODE = `
import { MemFlow } from "@memflow/sdk";
export async function waits(signalId) {
  return await MemFlow.workflow.waitFor(signalId);
}
`;
const HELD = ["memflow.io/drain"];

scenario(
  "a namespace with the operator and its objects in it can be deleted, and objects elsewhere after that",
  async (bench) => {
    await installOperator(bench, { namespace: bench.namespace });
    const store = await startStore(bench);
    await loadWorker(bench);
    await bench.apply(queue("orders", store));
    await runHeld(bench, store, "orders");
    const elsewhere = `${bench.namespace}-b`;
    await bench.cluster.kubectl(["create", "namespace", elsewhere]);
    bench.afterwards(async () => {
      await bench.cluster.kubectl(["delete", "namespace", elsewhere, "--wait=false"]);
    });
    const metadata = { name: "orders", namespace: elsewhere, finalizers: HELD };
    const other = JSON.stringify({ ...queue("orders", store), metadata });
    await bench.cluster.kubectl(["apply", "-f", "-"], other);

    await deleteNamespace(bench);
    const deletion = ["delete", "taskqueue", "orders", "--timeout=30s"];
    await bench.cluster.kubectl(["--namespace", elsewhere, ...deletion]);
  },
  LIMIT_MS,
);

scenario(
  "a queue drains while it may, is stopped where that is asked, and is bounded with its database away; so is its namespace",
  async (bench) => {
    await installOperator(bench);
    const store = await startStore(bench);
    await loadWorker(bench);
    const long = { timeout: "10m", onTimeout: "Keep" } as const;
    await bench.apply([
      queue("drains", store, { mode: "Drain", ...long }),
      queue("forced", store, { mode: "Force", ...long }),
      queue("bounded", store, { mode: "Drain", timeout: "3s" }),
      queue("blind", store, { mode: "Drain", timeout: "5s", onTimeout: "Keep" }),
      queue("left", store, { mode: "Drain", ...long }),
    ]);
    await Promise.all([
      ...["drains", "bounded", "blind", "left"].map((name) => runHeld(bench, store, name)),
      run(bench, store, "forced"),
    ]);

    await bench.kubectl(["delete", "taskqueue", "drains", "forced", "bounded", "--wait=false"]);
    await Promise.all(["forced", "bounded"].map((name) => isGone(bench, name)));
    const waiting = await bench.waitFor({
      type: TASK_QUEUES,
      name: "drains",
      until: (object) => findCondition(object?.status, "Draining")?.reason === "Deleting",
    });
    expect(findCondition(waiting.status, "Draining")?.message).toContain("1 open runs");
    await store.client.workflow.signal("go-drains", { is: "over" });
    await isGone(bench, "drains");
    const { rows } = await store.database.query(
      `select task_queue, status from ${store.schema}.runs where task_queue <> 'left' order by task_queue`,
    );
    expect(rows).toEqual([
      { task_queue: "blind", status: "running" },
      { task_queue: "bounded", status: "running" },
      { task_queue: "drains", status: "completed" },
      { task_queue: "forced", status: "running" },
    ]);

    await bench.kubectl(["delete", "pod", "postgres", "--grace-period=0", "--force"]);
    await bench.kubectl(["delete", "taskqueue", "blind", "--timeout=90s"]);
    await deleteNamespace(bench);
  },
  LIMIT_MS,
);

scenario(
  "a deleted Store leaves its schema in the database, or drops it where that is asked",
  async (bench) => {
    await installOperator(bench);
    const database = await startPostgres(bench);
    const [kept, dropped] = await Promise.all([
      startStore(bench, { name: "kept", database }),
      startStore(bench, { name: "dropped", database, spec: { deletionPolicy: "DropSchema" } }),
    ]);
    await bench.kubectl(["delete", "store", kept.name, dropped.name, "--timeout=60s"]);
    const { rows } = await database.query(
      "select nspname from pg_namespace where nspname in ('kept', 'dropped')",
    );
    expect(rows).toEqual([{ nspname: "kept" }]);
  },
  LIMIT_MS,
);

async function loadWorker(bench: ScenarioBench): Promise<void> {
  await bench.cluster.loadImages([await workerImageArchive(TAG, { "workflows.mjs": CODE })]);
}

function queue(name: string, store: ScenarioStore, deletion: object = {}): object {
  return taskQueue(name, store, {
    image: `localhost/memflow/${TAG}`,
    scaling: { pollInterval: "1s" },
    deletion,
    workers: { resources: { requests: { cpu: "10m", memory: "64Mi" } } },
  });
}

/** Starts a run that waits for a signal, and waits until it is in a worker. */
async function run(bench: ScenarioBench, { client }: ScenarioStore, name: string): Promise<void> {
  await client.workflow.start({
    taskQueue: name,
    workflowName: "waits",
    workflowId: `of-${name}`,
    args: [`go-${name}`],
  });
  await bench.waitFor({
    type: TASK_QUEUES,
    name,
    until: (object) => object?.status?.readyReplicas === 1,
  });
}

async function runHeld(bench: ScenarioBench, store: ScenarioStore, name: string): Promise<void> {
  await run(bench, store, name);
  await bench.waitFor({
    type: TASK_QUEUES,
    name,
    until: (object) => object?.metadata?.finalizers?.join() === HELD.join(),
  });
}

/** A queue and its workers. */
async function isGone(bench: ScenarioBench, name: string): Promise<void> {
  await bench.waitFor({ type: TASK_QUEUES, name, until: (object) => object === undefined });
  const { items } = await bench.client.list(PODS, {
    namespace: bench.namespace,
    labelSelector: `memflow.io/task-queue=${name}`,
  });
  await Promise.all(
    items.map(({ metadata }) =>
      bench.waitFor({ type: PODS, name: metadata?.name ?? "", until: (pod) => pod === undefined }),
    ),
  );
}

async function deleteNamespace({ cluster, namespace }: ScenarioBench): Promise<void> {
  await cluster.kubectl(["delete", "namespace", namespace, "--timeout=180s"]);
}
