/** A new build gets runs when it has proven itself, as many as it was given, and never one that does not run. */
import { findCondition, TASK_QUEUES } from "@memflow/operator/api";
import type { TaskQueueObject } from "@memflow/operator/api";
import { expect } from "vitest";
import {
  installOperator,
  readBuilds,
  startStore,
  taskQueue,
  useCluster,
  workerImageArchive,
} from "../cluster/testing/index.ts";
import type { ScenarioBench, ScenarioStore, TaskQueuePart } from "../cluster/testing/index.ts";

const { scenario } = useCluster();

const LIMIT_MS = 480_000;
const IMAGE = "localhost/memflow/gates:1";
const CODE = `import { MemFlow } from "@memflow/sdk";
if (process.env["CRASH"] === "yes") throw new Error("broken from the start");
export async function work() { return "done"; }
export async function fails() { throw new Error("the smoke test failed"); }
export async function hangs() { return MemFlow.workflow.waitFor("never"); }
export async function passes(input) { return input; }`;
const SCALING = { minReplicas: 1, maxReplicas: 1, pollInterval: "1s" } as const;

interface Place {
  readonly bench: ScenarioBench;
  readonly store: ScenarioStore;
}

type Rollout = NonNullable<NonNullable<TaskQueuePart["versioning"]>["rollout"]>;

scenario(
  "a gate, shares, a word of a person and a broken build decide who gets new runs",
  async (bench) => {
    await installOperator(bench);
    await bench.cluster.loadImages([await workerImageArchive("gates:1", { "workflows.mjs": CODE })]);
    const place = { bench, store: await startStore(bench) };
    await Promise.all([judgeByGate(place), rampUp(place), promoteByHand(place), missImage(place)]);
  },
  LIMIT_MS,
);

/** Failing, then hanging, then passing; no run but the gate's own goes to the new build before that. */
async function judgeByGate(place: Place): Promise<void> {
  const queue = new QueueUnderTest(place, "gated");
  await queue.apply("v1");
  await queue.current("v1");

  await queue.apply("v2", { gate: { workflow: "fails" } });
  expect(await queue.progressing("GateFailed")).toContain("the smoke test failed");
  expect(await queue.run("first")).toBe("v1");

  await queue.apply("v2", { gate: { workflow: "hangs", timeout: "2s" } });
  expect(await queue.progressing("GateTimedOut")).toContain("longer than 2s");
  expect(await queue.run("second")).toBe("v1");
  expect(await queue.countRuns("v2")).toBe(0);
  expect(await queue.openRuns("v2")).toBe(0);

  await queue.apply("v2", { gate: { workflow: "passes", input: { depth: 1 } } });
  await queue.current("v2");
  expect(await queue.run("third")).toBe("v2");
  expect(await queue.eventNotes("GateFailed")).toEqual([
    expect.stringContaining("the smoke test failed"),
    expect.stringContaining("longer than 2s"),
  ]);
  expect((await queue.eventNotes("GateStarted")).length).toBe(3);
}

/** Steps are ended by editing them: what is counted must not depend on how fast it is. */
async function rampUp(place: Place): Promise<void> {
  const queue = new QueueUnderTest(place, "ramped");
  await queue.apply("v1");
  await queue.current("v1");

  await queue.apply("v2", { strategy: "Progressive", steps: [{ percent: 20, pause: "1h" }] });
  await queue.ramped(20);
  const fifth = await queue.share("v2", 6_000);
  console.log(`figure: share of 6000 starts at 20 percent ${(fifth * 100).toFixed(2)} percent`);
  expect(Math.abs(fifth - 0.2)).toBeLessThan(0.02);

  const steps = [
    { percent: 20, pause: "30s" },
    { percent: 60, pause: "1h" },
  ];
  await queue.apply("v2", { strategy: "Progressive", steps });
  await queue.ramped(60);
  const most = await queue.share("v2", 2_000);
  console.log(`figure: share of 2000 starts at 60 percent ${(most * 100).toFixed(2)} percent`);
  expect(Math.abs(most - 0.6)).toBeLessThan(0.05);
}

/** Promoted when a person says so; then a build that crashes is not promoted at all. */
async function promoteByHand({ bench, store }: Place): Promise<void> {
  const queue = new QueueUnderTest({ bench, store }, "careful");
  await queue.apply("v1");
  await queue.current("v1");

  await queue.apply("v2", { strategy: "Manual" });
  expect(await queue.progressing("WaitingForPromotion")).toContain('memflow.io/promote to "v2"');
  expect(await queue.run("unasked")).toBe("v1");
  await bench.kubectl(["annotate", "taskqueue", "careful", "memflow.io/promote=v2"]);
  await queue.current("v2");
  expect(await queue.run("asked")).toBe("v2");

  await queue.apply("v3", {}, { env: [{ name: "CRASH", value: "yes" }] });
  await queue.until((object) => /CrashLoopBackOff|ended \d+ times/u.test(messageOf(object, "Progressing")));
  expect(await queue.run("while it crashes")).toBe("v2");
  expect(await queue.eventNotes("RolloutBlocked")).not.toEqual([]);
  const { status } = await queue.until((object) => object.status?.currentBuildId === "v2");
  expect(findCondition(status, "Available")?.status).toBe("True");
  expect(await queue.countRuns("v3")).toBe(0);
}

async function missImage({ bench, store }: Place): Promise<void> {
  const queue = new QueueUnderTest({ bench, store }, "lost");
  const source = { image: { ref: "localhost/memflow/no-such-image:v1" } };
  await queue.apply("v1", {}, { source });
  const { status } = await queue.until(
    (object) => findCondition(object.status, "Available")?.reason === "ImagePullFailed",
  );
  expect(findCondition(status, "Available")?.message).toContain("no-such-image");
}

function messageOf({ status }: TaskQueueObject, type: string): string {
  return findCondition(status, type)?.message ?? "";
}

/** A queue whose builds are told apart by their names alone. */
class QueueUnderTest {
  readonly #bench: ScenarioBench;
  readonly #store: ScenarioStore;
  readonly #name: string;

  constructor({ bench, store }: Place, name: string) {
    this.#bench = bench;
    this.#store = store;
    this.#name = name;
  }

  apply(buildId: string, rollout: Rollout = {}, workers: TaskQueuePart["workers"] = {}): Promise<void> {
    const versioning = { buildId, rollout };
    return this.#bench.apply(
      taskQueue(this.#name, this.#store, { image: IMAGE, scaling: SCALING, versioning, workers }),
    );
  }

  until(isWanted: (object: TaskQueueObject) => boolean): Promise<TaskQueueObject> {
    return this.#bench.waitFor({
      type: TASK_QUEUES,
      name: this.#name,
      until: (object) => object !== undefined && isWanted(object),
    });
  }

  async current(buildId: string): Promise<void> {
    await this.until(({ status }) => status?.currentBuildId === buildId);
  }

  async ramped(percent: number): Promise<void> {
    await this.until(
      ({ status }) => status?.versions?.some(({ rampPercent }) => rampPercent === percent) === true,
    );
  }

  /** @returns The condition's message. */
  async progressing(reason: string): Promise<string> {
    return messageOf(
      await this.until(({ status }) => findCondition(status, "Progressing")?.reason === reason),
      "Progressing",
    );
  }

  /** Runs to the end; gives the build that did it. */
  async run(name: string): Promise<string | null | undefined> {
    const workflowId = `${this.#name} ${name}`;
    const handle = await this.#start(workflowId);
    await handle.result();
    const [[, buildId] = []] = await readBuilds(this.#store, [workflowId]);
    return buildId;
  }

  /** Starts many runs at once, waits until each has a build, and gives the share of one. */
  async share(buildId: string, count: number): Promise<number> {
    const names = Array.from({ length: count }, (_, index) => `${this.#name} ${count} ${index}`);
    await Promise.all(names.map((name) => this.#start(name)));
    const claimed = async (): Promise<readonly (string | null)[]> => {
      const builds = await readBuilds(this.#store, names);
      return builds.map(([, build]) => build);
    };
    await expect
      .poll(async () => (await claimed()).filter((build) => build === null).length, {
        timeout: LIMIT_MS,
        interval: 500,
      })
      .toBe(0);
    return (await claimed()).filter((build) => build === buildId).length / count;
  }

  /** Runs of a build but for those of gates. */
  async countRuns(buildId: string): Promise<number> {
    const { database, schema } = this.#store;
    const { rows } = await database.query(
      `select count(*)::integer as count from ${schema}.runs
       where task_queue = $1 and build_id = $2 and workflow_id not like 'memflow-gate:%'`,
      [this.#name, buildId],
    );
    return Number(rows[0]?.["count"]);
  }

  /** Of a build, those of gates too. */
  async openRuns(buildId: string): Promise<number> {
    const { database, schema } = this.#store;
    const { rows } = await database.query(
      `select count(*)::integer as count from ${schema}.runs
       where task_queue = $1 and build_id = $2 and status = 'running'`,
      [this.#name, buildId],
    );
    return Number(rows[0]?.["count"]);
  }

  /** Notes of the queue's Events of one reason, the first one first. */
  async eventNotes(reason: string): Promise<readonly string[]> {
    const selector = `involvedObject.name=${this.#name},reason=${reason}`;
    const list = await this.#bench.kubectl(["get", "events", "--field-selector", selector, "-o", "json"]);
    const { items } = JSON.parse(list) as {
      items: { message: string; metadata: { creationTimestamp: string } }[];
    };
    return items
      .toSorted((left, right) =>
        left.metadata.creationTimestamp < right.metadata.creationTimestamp ? -1 : 1,
      )
      .map(({ message }) => message);
  }

  #start(workflowId: string) {
    return this.#store.client.workflow.start({
      taskQueue: this.#name,
      workflowName: "work",
      workflowId,
      args: [],
    });
  }
}
