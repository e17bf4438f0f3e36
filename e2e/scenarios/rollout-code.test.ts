/** Code comes from a Workflow, a ConfigMap or an artefact; and from one build to the next runs stay, follow, or are rolled in place. */
import { findCondition, TASK_QUEUES } from "@memflow/operator/api";
import type { TaskQueueObject } from "@memflow/operator/api";
import { DEPLOYMENTS, PODS } from "@memflow/operator/kube";
import type { Deployment } from "@memflow/operator/kube";
import { expect } from "vitest";
import { installOperator, readBuilds, startStore, taskQueue, useCluster } from "../cluster/testing/index.ts";
import type { ScenarioBench, ScenarioStore, TaskQueuePart } from "../cluster/testing/index.ts";

const { scenario } = useCluster();

const LIMIT_MS = 480_000;
const SCALING = {
  minReplicas: 1,
  maxReplicas: 1,
  pollInterval: "1s",
  cooldown: "1s",
  behavior: { scaleDown: { stabilization: "0s" } },
} as const;

interface Place {
  readonly bench: ScenarioBench;
  readonly store: ScenarioStore;
}

scenario(
  "changed inline code is a new build, while old runs keep theirs, follow it, or are rolled in place as was asked",
  async (bench) => {
    await installOperator(bench);
    const place = { bench, store: await startStore(bench) };
    await Promise.all([
      changeWorkflow(place),
      changeConfigMap(place),
      followUpgrade(place),
      rollInPlace(place),
      missImageVolumes(place),
    ]);
  },
  LIMIT_MS,
);

/** A workflow that waits for a word, and says of which version it is; versions may have different histories. */
function codeOf(version: string, before = ""): string {
  return `import { MemFlow } from "@memflow/sdk";
export async function answer() {
  ${before}
  return "${version} " + (await MemFlow.workflow.waitFor("word"));
}`;
}

const OTHER_HISTORY = `await (await MemFlow.workflow.entity()).set({ changed: true });`;

/** The code is in the Workflow; each build has a copy of its own. */
async function changeWorkflow({ bench, store }: Place): Promise<void> {
  const queue = new QueueUnderTest({ bench, store }, "inline");
  const workflow = (code: string): object => ({
    apiVersion: "memflow.io/v1alpha1",
    kind: "Workflow",
    metadata: { name: "inline-answer" },
    spec: {
      taskQueueRef: { name: "inline" },
      workflowName: "answer",
      code: { files: { "index.ts": code } },
    },
  });
  await queue.apply();
  await queue.until(({ status }) => findCondition(status, "CodeReady")?.reason === "NoInlineCode");
  await bench.apply(workflow(codeOf("first")));
  const first = await queue.buildAfter("");
  await queue.start("inline old", first);
  await bench.apply(workflow(codeOf("second", OTHER_HISTORY)));
  const second = await queue.buildAfter(first);
  await queue.start("inline new", second);
  expect(await queue.finish(["inline old", "inline new"])).toEqual(["first go", "second go"]);
}

/** The user changes the ConfigMap in place: pods of the old build still see what they began with. */
async function changeConfigMap({ bench, store }: Place): Promise<void> {
  const queue = new QueueUnderTest({ bench, store }, "mapped");
  const configMap = (code: string): object => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "code" },
    data: { "index.mjs": `export { answer } from "./answer.mjs";`, "answer.mjs": code },
  });
  await bench.apply(configMap(codeOf("first")));
  await queue.apply({ workers: { source: { code: { configMapRef: { name: "code" } } } } });
  const first = await queue.buildAfter("");
  await queue.start("mapped old", first);
  await bench.apply(configMap(codeOf("second", OTHER_HISTORY)));
  const second = await queue.buildAfter(first);
  await queue.start("mapped new", second);
  // A worker that starts anew loads what its build was made of.
  await bench.kubectl([
    "delete",
    "pods",
    "--wait=false",
    "-l",
    `memflow.io/task-queue=mapped,memflow.io/build=${first}`,
  ]);
  expect(await queue.finish(["mapped old", "mapped new"])).toEqual(["first go", "second go"]);
}

/** Runs move to the new build once their worker is gone. */
async function followUpgrade({ bench, store }: Place): Promise<void> {
  const queue = new QueueUnderTest({ bench, store }, "following");
  const versioning = {
    strategy: "AutoUpgrade",
    draining: { scaledownDelay: "0s", deleteDelay: "0s" },
  } as const;
  await bench.apply(configMapOf("following", codeOf("first")));
  const workers = { source: { code: { configMapRef: { name: "following" } } } };
  await queue.apply({ versioning, workers });
  const first = await queue.buildAfter("");
  await queue.start("following old", null);
  const old = await queue.pods();
  await bench.apply(configMapOf("following", codeOf("second")));
  await queue.buildAfter(first);
  await queue.until(({ status }) => status?.versions?.length === 1);
  await queue.gone(old);
  expect(await queue.finish(["following old"])).toEqual(["second go"]);
}

/** One Deployment, whatever it runs. */
async function rollInPlace({ bench, store }: Place): Promise<void> {
  const queue = new QueueUnderTest({ bench, store }, "rolled");
  await bench.apply(configMapOf("rolled", codeOf("first")));
  const workers = { source: { code: { configMapRef: { name: "rolled" } } } };
  await queue.apply({ versioning: { strategy: "InPlace" }, workers });
  expect(await queue.buildAfter("")).toBe("in-place");
  await queue.ready();
  await queue.start("rolled old", null);
  const [before] = await queue.deployments();
  const old = await queue.pods();
  await bench.apply(configMapOf("rolled", codeOf("second")));
  await queue.until(({ status }) => findCondition(status, "Progressing")?.reason === "NewBuildStarting");
  await queue.until(({ status }) => findCondition(status, "Progressing")?.reason === "RolloutComplete");
  await queue.ready();
  await queue.gone(old);
  const after = await queue.deployments();
  expect(after.map(({ metadata }) => metadata?.uid)).toEqual([before?.metadata?.uid]);
  expect(await queue.finish(["rolled old"])).toEqual(["second go"]);
}

/** The cluster has no image volumes: that is said, and nothing is made. */
async function missImageVolumes({ bench, store }: Place): Promise<void> {
  const queue = new QueueUnderTest({ bench, store }, "mounted");
  await queue.apply({ workers: { source: { artifact: { image: "localhost/memflow/code:1" } } } });
  const { status } = await queue.until(
    (object) => findCondition(object.status, "CodeReady")?.reason === "ImageVolumeUnsupported",
  );
  expect(findCondition(status, "CodeReady")?.message).toContain("put the code into an image");
  expect(findCondition(status, "Ready")).toMatchObject({ status: "False", reason: "CodeNotReady" });
  expect(await queue.deployments()).toEqual([]);
}

function configMapOf(name: string, code: string): object {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data: { "index.mjs": code } };
}

class QueueUnderTest {
  readonly #bench: ScenarioBench;
  readonly #store: ScenarioStore;
  readonly #name: string;

  constructor({ bench, store }: Place, name: string) {
    this.#bench = bench;
    this.#store = store;
    this.#name = name;
  }

  apply(spec: TaskQueuePart = {}): Promise<void> {
    return this.#bench.apply(taskQueue(this.#name, this.#store, { scaling: SCALING, ...spec }));
  }

  until(isWanted: (object: TaskQueueObject) => boolean): Promise<TaskQueueObject> {
    return this.#bench.waitFor({
      type: TASK_QUEUES,
      name: this.#name,
      until: (object) => object !== undefined && isWanted(object),
    });
  }

  async ready(): Promise<void> {
    await this.until(({ status }) => findCondition(status, "Ready")?.reason === "Serving");
  }

  /** Waits until another build than this one gets new runs. */
  async buildAfter(buildId: string): Promise<string> {
    const { status } = await this.until((object) => (object.status?.currentBuildId ?? buildId) !== buildId);
    return status?.currentBuildId ?? "";
  }

  async deployments(): Promise<readonly Deployment[]> {
    const labelSelector = `memflow.io/task-queue=${this.#name}`;
    return (await this.#bench.client.list(DEPLOYMENTS, { namespace: this.#bench.namespace, labelSelector }))
      .items;
  }

  /** Names of its pods. */
  async pods(): Promise<readonly string[]> {
    const labelSelector = `memflow.io/task-queue=${this.#name}`;
    const { items } = await this.#bench.client.list(PODS, {
      namespace: this.#bench.namespace,
      labelSelector,
    });
    return items.map(({ metadata }) => metadata?.name ?? "");
  }

  /** Waits until these pods are no more: whatever they had in memory is for others now. */
  async gone(pods: readonly string[]): Promise<void> {
    await Promise.all(
      pods.map((name) => this.#bench.waitFor({ type: PODS, name, until: (object) => object === undefined })),
    );
  }

  /** Starts a run and waits until it waits for its word in a worker; `buildId` is that to which it is pinned then. */
  async start(name: string, buildId: string | null): Promise<void> {
    const { client, database, schema } = this.#store;
    await client.workflow.start({
      taskQueue: this.#name,
      workflowName: "answer",
      workflowId: name,
      args: [],
    });
    const text = `select 1 from ${schema}.runs where workflow_id = $1 and owner is not null`;
    await expect
      .poll(async () => (await database.query(text, [name])).rowCount, { timeout: LIMIT_MS })
      .toBe(1);
    expect(await readBuilds(this.#store, [name])).toEqual([[name, buildId]]);
  }

  /** Says the word to runs and gives their results. */
  async finish(names: readonly string[]): Promise<readonly string[]> {
    const handles = await Promise.all(names.map((name) => this.#store.client.workflow.getHandle(name)));
    for (const handle of handles) await handle.signal("word", "go");
    return Promise.all(handles.map((handle) => handle.result<string>()));
  }
}
