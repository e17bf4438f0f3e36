/** New code takes over from old: each run ends on the build on which it began, and the way back is open. */
import { TASK_QUEUES } from "@memflow/operator/api";
import { DEPLOYMENTS, namespaced } from "@memflow/operator/kube";
import { expect } from "vitest";
import {
  installOperator,
  readBuilds,
  startStore,
  taskQueue,
  useCluster,
  workerImageArchive,
} from "../cluster/testing/index.ts";
import type { ScenarioBench, ScenarioStore } from "../cluster/testing/index.ts";

const { scenario } = useCluster();

const CONTROLLER_REVISIONS = namespaced("apps/v1", "ControllerRevision", "controllerrevisions");
const LIMIT_MS = 480_000;

/** The second version takes a step that histories of the first one lack: neither can go on with the other's runs. */
const CODE = {
  v1: `import { MemFlow } from "@memflow/sdk";
export async function approve(order) {
  const word = await MemFlow.workflow.waitFor("word");
  return "v1 " + order + " " + word;
}`,
  v2: `import { MemFlow } from "@memflow/sdk";
export async function approve(order) {
  const memory = await MemFlow.workflow.entity();
  await memory.set({ order });
  const word = await MemFlow.workflow.waitFor("word");
  return "v2 " + order + " " + word;
}`,
} as const;

type Version = keyof typeof CODE;

function ordersQueue(store: ScenarioStore, version: Version): object {
  return taskQueue("orders", store, {
    image: imageOf(version),
    scaling: {
      minReplicas: 1,
      pollInterval: "1s",
      cooldown: "2s",
      behavior: { scaleDown: { stabilization: "0s" } },
    },
    versioning: { buildId: version, draining: { scaledownDelay: "1s", deleteDelay: "1s" } },
  });
}

function imageOf(version: Version): string {
  return `localhost/memflow/orders:${version}`;
}

scenario(
  "runs finish on the build on which they began, new ones go to the new one, back is at once, and drained builds go",
  async (bench) => {
    await installOperator(bench);
    const archives = (["v1", "v2"] as const).map((version) =>
      workerImageArchive(`orders:${version}`, { "workflows.mjs": CODE[version] }),
    );
    await bench.cluster.loadImages(await Promise.all(archives));
    const store = await startStore(bench);
    const runs = new Orders(store);

    await bench.apply(ordersQueue(store, "v1"));
    await currentBuild(bench, "v1");
    await runs.start(["a1", "a2", "a3"], "v1");

    await bench.apply(ordersQueue(store, "v2"));
    const promotion = await currentBuild(bench, "v2");
    console.log(`figure: new image to promoted ${promotion} ms`);
    await runs.start(["b1", "b2"], "v2");
    expect(await runs.finish(["a1"])).toEqual(["v1 a1 go"]);

    const deployment = await deploymentOf(bench, "v1");
    await bench.kubectl(["delete", "deployment", deployment.metadata?.name ?? ""]);
    await bench.waitFor({
      type: DEPLOYMENTS,
      name: deployment.metadata?.name ?? "",
      until: (object) => object !== undefined && object.metadata?.uid !== deployment.metadata?.uid,
    });
    expect(await runs.finish(["a2"])).toEqual(["v1 a2 go"]);

    await bench.apply(ordersQueue(store, "v1"));
    console.log(`figure: rollback to promoted ${await currentBuild(bench, "v1")} ms`);
    await runs.start(["c1"], "v1");
    expect(await runs.finish(["a3", "b1", "b2", "c1"])).toEqual([
      "v1 a3 go",
      "v2 b1 go",
      "v2 b2 go",
      "v1 c1 go",
    ]);

    const drained = await deploymentOf(bench, "v2");
    await bench.waitFor({
      type: DEPLOYMENTS,
      name: drained.metadata?.name ?? "",
      until: (object) => object === undefined,
    });
    const left = await bench.waitFor({
      type: TASK_QUEUES,
      name: "orders",
      until: (queue) => queue?.status?.versions?.length === 1,
    });
    expect(left.status?.versions?.[0]).toMatchObject({ buildId: "v1", phase: "Current" });
    const { items } = await bench.client.list(CONTROLLER_REVISIONS, { namespace: bench.namespace });
    expect(items.map(({ metadata }) => metadata?.labels?.["memflow.io/build"])).toEqual(["v1"]);
  },
  LIMIT_MS,
);

/** @returns How long it took, in milliseconds. */
async function currentBuild(bench: ScenarioBench, buildId: string): Promise<number> {
  const since = performance.now();
  await bench.waitFor({
    type: TASK_QUEUES,
    name: "orders",
    until: (queue) => queue?.status?.currentBuildId === buildId,
  });
  return Math.round(performance.now() - since);
}

async function deploymentOf(bench: ScenarioBench, buildId: string) {
  const { items } = await bench.client.list(DEPLOYMENTS, {
    namespace: bench.namespace,
    labelSelector: `memflow.io/task-queue=orders,memflow.io/build=${buildId}`,
  });
  const [deployment] = items;
  if (deployment === undefined) throw new Error(`build "${buildId}" has no Deployment`);
  return deployment;
}

/** Runs that wait for a word. */
class Orders {
  readonly #store: ScenarioStore;

  constructor(store: ScenarioStore) {
    this.#store = store;
  }

  /** Starts runs and waits until a worker of the build has claimed each. */
  async start(names: readonly string[], buildId: string): Promise<void> {
    const { client } = this.#store;
    for (const name of names) {
      await client.workflow.start({
        taskQueue: "orders",
        workflowName: "approve",
        workflowId: name,
        args: [name],
      });
    }
    await expect
      .poll(() => readBuilds(this.#store, names), { timeout: LIMIT_MS })
      .toEqual(names.map((name) => [name, buildId]));
  }

  /** Says the word to runs and gives their results. */
  async finish(names: readonly string[]): Promise<readonly string[]> {
    const handles = await Promise.all(names.map((name) => this.#store.client.workflow.getHandle(name)));
    for (const handle of handles) await handle.signal("word", "go");
    return Promise.all(handles.map((handle) => handle.result<string>()));
  }
}
