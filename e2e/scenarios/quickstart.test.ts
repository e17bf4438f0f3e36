/**
 * The first ten minutes of a user: two charts, four manifests as they are written, a run, and the way back, in both orders.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { TaskQueue } from "@memflow/crds";
import { findCondition, holds, SCHEDULES, STORES, TASK_QUEUES } from "@memflow/operator/api";
import { Client, MemFlow } from "@memflow/sdk";
import { expect } from "vitest";
import {
  installEvaluation,
  objectsLeft,
  podComes,
  reachEvaluationPostgres,
  useCluster,
} from "../cluster/testing/index.ts";
import type { ScenarioBench } from "../cluster/testing/index.ts";

const { scenario } = useCluster({ form: "node" });
const QUICKSTART = fileURLToPath(new URL("../../examples/quickstart", import.meta.url));
const WORKERS = "memflow.io/task-queue=quickstart";
const LIMIT_MS = 600_000;
/** What docs/install.md says: within a minute. */
const READY_MAX_MS = 60_000;
/** What stays after everything was deleted; docs/install.md says why. */
const KEPT: readonly string[] = ["persistentvolumeclaim/data-memflow-postgres-0", "secret/memflow-postgres"];

scenario(
  "a user installs, applies the quickstart, and sees a run wake its queue, end, and leave it at zero; nothing but data stays",
  async (bench) => {
    await installEvaluation(bench);
    const appliedMs = Date.now();
    await applyQuickstart(bench);
    const readyMs = Date.now() - appliedMs;
    figure("quickstart applied -> Store Ready, queue at zero", readyMs);
    expect(readyMs).toBeLessThan(READY_MAX_MS);

    const database = await reachEvaluationPostgres(bench);
    const client = new Client({
      connection: { connectionString: database.hostUri },
      namespace: "quickstart",
    });
    bench.afterwards(() => MemFlow.shutdown());
    const testing = bench.helm(["test", "memflow", "--timeout=120s"]);

    // No look of its own comes within the test: what wakes the queue can only be the notification of the start.
    await changeScaling(bench, { pollInterval: "5m", cooldown: "1s" });
    const coming = await podComes(bench, WORKERS);
    const startedMs = Date.now();
    const handle = await client.workflow.start({
      taskQueue: "quickstart",
      workflowName: "makeCoffee",
      workflowId: "coffee-of-ada",
      args: [{ guest: "Ada" }],
    });
    figure("start -> worker pod created", (await coming.pod).heardAtMs - startedMs);
    expect(await handle.result()).toBe("Ada: a cup of 20 g of house blend");
    figure("start -> result, from zero", Date.now() - startedMs);
    expect(await testing).toMatch(/Phase:\s+Succeeded/u);

    await changeScaling(bench, { pollInterval: "1s", cooldown: "10m" });
    await bench.waitFor({
      type: TASK_QUEUES,
      name: "quickstart",
      until: (queue) => queue?.status?.scaling?.backlog === 0,
    });
    expect(await shownColumns(bench)).toMatchObject({
      READY: "True",
      BUILD: expect.stringMatching(/^[0-9a-f]{10}$/u) as string,
      WORKERS: "1",
      DESIRED: "1",
      BACKLOG: "0",
      INFLIGHT: "0",
      LIMITED: "Cooldown",
    });

    await changeScaling(bench, { cooldown: "1s" });
    await reachesZero(bench);
    expect(await shownColumns(bench)).toMatchObject({ WORKERS: "0", DESIRED: "0", LIMITED: "None" });
    expect(await toldStory(bench)).toEqual([
      "VersionCreated",
      "VersionPromoted",
      "Activated",
      "ScaledToZero",
    ]);

    await scaleByHand(bench);
    await bench.kubectl(["delete", "-f", QUICKSTART, "--timeout=60s"]);
    await bench.kubectl(["wait", "--for=delete", "pod", "-l", WORKERS, "--timeout=90s"]);
    const ofWorkers = ["get", "deployments,replicasets,configmaps,secrets,pdb,sa", "-l", WORKERS];
    expect(await bench.kubectl([...ofWorkers, "-o", "name"])).toBe("");
    const { rows } = await database.query("select status from quickstart.runs");
    expect(rows).toEqual([{ status: "completed" }]);

    await uninstallFirst(bench, client);
  },
  LIMIT_MS,
);

async function applyQuickstart(bench: ScenarioBench): Promise<void> {
  await bench.kubectl(["apply", "-f", QUICKSTART]);
  await Promise.all([
    bench.waitFor({
      type: STORES,
      name: "quickstart",
      until: (store) => store !== undefined && holds(store, "Ready"),
    }),
    bench.waitFor({
      type: TASK_QUEUES,
      name: "quickstart",
      until: (queue) => {
        const ready = findCondition(queue?.status, "Ready");
        return (
          ready?.status === "True" && ready.reason === "ScaledToZero" && queue?.status?.scaling?.desired === 0
        );
      },
    }),
    bench.waitFor({
      type: SCHEDULES,
      name: "morning-coffee",
      until: (schedule) => schedule !== undefined && holds(schedule, "Ready"),
    }),
  ]);
}

/** Changes how the queue is scaled, and waits until the operator decides by it. */
async function changeScaling(
  bench: ScenarioBench,
  scaling: Partial<TaskQueue["spec"]["scaling"]>,
  spec: Partial<TaskQueue["spec"]> = {},
): Promise<void> {
  const patch = JSON.stringify({ spec: { scaling, ...spec } });
  await bench.kubectl(["patch", "taskqueue", "quickstart", "--type=merge", "--patch", patch]);
  await bench.waitFor({
    type: TASK_QUEUES,
    name: "quickstart",
    until: (queue) =>
      findCondition(queue?.status, "ScalingActive")?.observedGeneration === queue?.metadata?.generation,
  });
}

async function reachesZero(bench: ScenarioBench): Promise<void> {
  await bench.waitFor({
    type: TASK_QUEUES,
    name: "quickstart",
    until: (queue) => queue?.status?.scaling?.desired === 0 && queue.status.replicas === 0,
  });
  await bench.kubectl(["wait", "--for=delete", "pod", "-l", WORKERS, "--timeout=90s"]);
}

/** `kubectl get taskqueue`, by column. */
async function shownColumns(bench: ScenarioBench): Promise<Readonly<Record<string, string>>> {
  const [head = "", row = ""] = (await bench.kubectl(["get", "taskqueue", "quickstart"])).split("\n");
  const columns = [...head.matchAll(/\S+\s*/gu)];
  return Object.fromEntries(
    columns.map(({ 0: name, index }) => [name.trim(), row.slice(index, index + name.length).trim()]),
  );
}

/** Reasons of the Events that `kubectl describe` shows, in its order; how the Store came is told before, or not. */
async function toldStory(bench: ScenarioBench): Promise<readonly string[]> {
  const [, events = ""] = (await bench.kubectl(["describe", "taskqueue", "quickstart"])).split("\nEvents:\n");
  return [...events.matchAll(/^ {2}(?:Normal|Warning) +(\w+) /gmu)]
    .map(([, reason = ""]) => reason)
    .filter((reason) => reason !== "StoreNotReady");
}

async function scaleByHand(bench: ScenarioBench): Promise<void> {
  await changeScaling(bench, { mode: "Manual" }, { replicas: 0 });
  await bench.kubectl(["scale", "taskqueue", "quickstart", "--replicas=1"]);
  await bench.waitFor({
    type: TASK_QUEUES,
    name: "quickstart",
    until: (queue) => queue?.status?.readyReplicas === 1,
  });
  expect(await shownColumns(bench)).toMatchObject({ WORKERS: "1", DESIRED: "1", LIMITED: "Manual" });
}

/** A run by the Schedule's annotation; then the operator goes while its worker is there, and the objects after it. */
async function uninstallFirst(bench: ScenarioBench, client: Client): Promise<void> {
  await applyQuickstart(bench);
  const before = await client.workflow.getHandle("coffee-of-ada");
  expect(await before.result()).toBe("Ada: a cup of 20 g of house blend");
  const coming = await podComes(bench, WORKERS);
  const file = readFileSync(`${QUICKSTART}/schedule.yaml`, "utf8");
  expect(file).toContain(
    'kubectl annotate schedule morning-coffee --overwrite memflow.io/trigger="$(date +%s)"',
  );
  const trigger = `memflow.io/trigger=${Math.floor(Date.now() / 1000)}`;
  await bench.kubectl(["annotate", "schedule", "morning-coffee", "--overwrite", trigger]);
  await coming.pod;

  await bench.helm(["uninstall", "memflow", "--wait", "--timeout=120s"]);
  const kinds = "stores,taskqueues,workflows,schedules";
  await bench.kubectl(["delete", kinds, "--all", "--timeout=60s"]);
  await bench.kubectl(["wait", "--for=delete", "pod", "--all", "--timeout=120s"]);
  expect(await objectsLeft(bench)).toEqual(KEPT);
}

function figure(name: string, valueMs: number): void {
  console.log(`figure: ${name} ${Math.round(valueMs)} ms`);
}
