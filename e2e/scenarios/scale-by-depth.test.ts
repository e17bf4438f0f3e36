/**
 * Ten thousand queued runs bring workers by the formula, step by step as far as `behavior` lets it go, and when they are done the
 * cooldown takes all of them away again.
 *
 * An activity waits for a gate of the test, so that the load stays as it is until the last step was seen; nothing depends on
 * how fast that was.
 */
import { holds, TASK_QUEUES } from "@memflow/operator/api";
import type { TaskQueueObject } from "@memflow/operator/api";
import { PODS, Reflector } from "@memflow/operator/kube";
import type { Pod } from "@memflow/operator/kube";
import { expect } from "vitest";
import {
  installOperator,
  startStore,
  taskQueue,
  useCluster,
  workerImageArchive,
} from "../cluster/testing/index.ts";
import type { ScenarioBench, ScenarioStore } from "../cluster/testing/index.ts";

const { scenario } = useCluster();

/** With the images of an operator to build, beside other work. */
const LIMIT_MS = 400_000;
const RUNS = 10_000;
const STARTS_AT_ONCE = 2_000;
/** By these the load asks for 5: that much waits, and that much is in flight. */
const TARGET = 2_000;
const SLOTS = 20;
const REPLICAS = 5;
const PERIOD_MS = 2_000;
const COOLDOWN_MS = 3_000;
/** Moments in a status are whole seconds. */
const ROUNDING_MS = 1_000;
const IMAGE = "depth:1";

/** An activity that waits until the test has opened the gate: a row, told of by NOTIFY. */
const ACTIVITIES = `
import pg from "/opt/memflow/node_modules/pg/lib/index.js";

let opened;

export async function pass() {
  opened ??= gateOpened();
  await opened;
}

async function gateOpened() {
  const client = new pg.Client({ connectionString: process.env.MEMFLOW_DATABASE_URL });
  await client.connect();
  const notified = new Promise((resolve) => client.once("notification", resolve));
  await client.query("listen gate");
  const { rowCount } = await client.query("select from test.gate");
  if (rowCount === 0) await notified;
  await client.end();
}
`;
const WORKFLOWS = `
import { MemFlow } from "@memflow/sdk";
import * as activities from "./activities.ts";

const { pass } = MemFlow.workflow.proxyActivities({ activities });

export async function job() {
  await pass();
}
`;

/** Two watches of one object are so far apart at most. */
const WATCH_LAG_MS = 20_000;

type Scaling = NonNullable<NonNullable<TaskQueueObject["status"]>["scaling"]>;

scenario(
  "10,000 queued runs bring workers by the formula, all complete, and after the cooldown no worker is left",
  async (bench) => {
    await installOperator(bench);
    await bench.cluster.loadImages([
      await workerImageArchive(IMAGE, { "activities.ts": ACTIVITIES, "workflows.ts": WORKFLOWS }),
    ]);
    const store = await startStore(bench);
    await makeGate(store);
    await startRuns(store, RUNS);
    const story = await recordScaling(bench);
    await bench.apply(queueOf(store, "1s"));
    await reaches(bench, ({ status }) => status?.readyReplicas === REPLICAS);
    await openGate(store);
    await reaches(bench, ({ status }) => status?.scaling?.desired === 0 && status.scaling.backlog === 0);

    const changes = (await story.end()).filter(({ desired }, at, all) => desired !== all[at - 1]?.desired);
    console.log(`figure: replicas ${changes.map(({ desired }) => desired).join(" ")} in turn`);
    checkRise(changes);
    expect(changes.slice(-2).map(({ desired }) => desired)).toEqual([1, 0]);
    const { completed, lastMs } = await ended(store);
    expect(completed).toBe(RUNS);
    const restMs = momentOf(changes.at(-1)) - lastMs;
    console.log(`figure: last run ended to zero replicas ${Math.round(restMs)} ms`);
    expect(restMs).toBeGreaterThan(COOLDOWN_MS - ROUNDING_MS);

    // From here on nothing but NOTIFY can wake it while this test lives.
    await bench.apply(queueOf(store, "5m"));
    await reaches(bench, isObserved);
    const { createdMs, startedMs } = await timeToPod(bench, store);
    console.log(`figure: start at zero to pod ${Math.round(createdMs - startedMs)} ms`);
  },
  LIMIT_MS,
);

function queueOf(store: ScenarioStore, pollInterval: string): object {
  return taskQueue("jobs", store, {
    image: `localhost/memflow/${IMAGE}`,
    workers: {
      concurrency: { workflowTasks: SLOTS, activities: SLOTS },
      resources: { requests: { cpu: "10m", memory: "32Mi" } },
    },
    scaling: {
      maxReplicas: REPLICAS + 1,
      targetBacklogPerReplica: TARGET,
      slotsPerReplica: SLOTS,
      targetSlotUtilization: 100,
      tolerancePercent: 0,
      pollInterval,
      cooldown: `${COOLDOWN_MS}ms`,
      behavior: {
        scaleUp: { maxPods: 1, maxPercent: 100, period: `${PERIOD_MS}ms` },
        scaleDown: { stabilization: "0s", period: "1s" },
      },
    },
  });
}

/** Each step up to the most is the smallest of what the load asks for and what `behavior` allows, and none comes too early. */
function checkRise(changes: readonly Scaling[]): void {
  const top = changes.findIndex(({ desired }) => desired === REPLICAS);
  const rise = changes.slice(0, top + 1);
  expect(rise.map(({ desired }) => desired)).toEqual([1, 2, 4, REPLICAS]);
  let before = 0;
  let beforeMs = -Infinity;
  for (const scaling of rise) {
    const { backlog = 0, inFlight = 0, desired = 0 } = scaling;
    const raw = Math.ceil(Math.max(backlog / TARGET, inFlight / SLOTS));
    const allowed = Math.max(before + 1, 2 * before);
    expect(scaling).toMatchObject({
      rawDesired: raw,
      desired: Math.min(raw, allowed),
      limitedBy: raw > allowed ? "Step" : "None",
    });
    expect(momentOf(scaling) - beforeMs).toBeGreaterThanOrEqual(PERIOD_MS - ROUNDING_MS);
    before = desired;
    beforeMs = momentOf(scaling);
  }
}

/** When its replicas were changed. */
function momentOf(scaling: Scaling | undefined): number {
  return Date.parse(scaling?.lastScaleTime ?? "");
}

/** Follows what the status says of scaling; `end` gives all of it, in order. */
async function recordScaling({ client, namespace }: ScenarioBench): Promise<{ end(): Promise<Scaling[]> }> {
  const statuses: Scaling[] = [];
  const reflector = new Reflector({ client, type: TASK_QUEUES, selection: { namespace }, log: () => {} });
  reflector.onChange(({ object }) => {
    if (object.status?.scaling?.lastScaleTime !== undefined) statuses.push(object.status.scaling);
  });
  reflector.start();
  await reflector.whenSynced();
  return {
    async end() {
      // A watch of its own has shown the last change to the test: this one is behind perhaps.
      await expect.poll(() => statuses.at(-1)?.desired, { timeout: WATCH_LAG_MS }).toBe(0);
      await reflector.stop();
      return statuses;
    },
  };
}

async function reaches(
  bench: ScenarioBench,
  isWanted: (queue: TaskQueueObject) => boolean,
): Promise<TaskQueueObject> {
  const until = (queue: TaskQueueObject | undefined): boolean => queue !== undefined && isWanted(queue);
  return bench.waitFor({ type: TASK_QUEUES, name: "jobs", until });
}

function isObserved(queue: TaskQueueObject): boolean {
  const active = queue.status?.conditions?.find(({ type }) => type === "ScalingActive");
  return holds(queue, "ScalingActive") && active?.observedGeneration === queue.metadata?.generation;
}

async function timeToPod(
  bench: ScenarioBench,
  store: ScenarioStore,
): Promise<{ readonly createdMs: number; readonly startedMs: number }> {
  const { client, namespace } = bench;
  const created = Promise.withResolvers<number>();
  const reflector = new Reflector({ client, type: PODS, selection: { namespace }, log: () => {} });
  reflector.start();
  await reflector.whenSynced();
  reflector.onChange(({ type, object }) => {
    if (type === "added" && isWorker(object) && performance.now() >= startedMs)
      created.resolve(performance.now());
  });
  const startedMs = performance.now();
  try {
    await startRuns(store, 1);
    const createdMs = await created.promise;
    return { createdMs, startedMs };
  } finally {
    await reflector.stop();
  }
}

function isWorker({ metadata }: Pod): boolean {
  return metadata?.labels?.["memflow.io/task-queue"] === "jobs" && metadata.deletionTimestamp === undefined;
}

async function makeGate({ database }: ScenarioStore): Promise<void> {
  await database.query("create schema test");
  await database.query("create table test.gate (opened_at timestamptz default now())");
  await database.query("grant usage on schema test to public");
  await database.query("grant select on test.gate to public");
}

async function openGate({ database }: ScenarioStore): Promise<void> {
  await database.query("insert into test.gate default values");
  await database.query("notify gate");
}

async function startRuns({ client }: ScenarioStore, count: number): Promise<void> {
  for (let begun = 0; begun < count; begun += STARTS_AT_ONCE) {
    const some = Math.min(STARTS_AT_ONCE, count - begun);
    const start = (): Promise<unknown> =>
      client.workflow.start({ taskQueue: "jobs", workflowName: "job", args: [] });
    await Promise.all(Array.from({ length: some }, start));
  }
}

async function ended({ database, schema }: ScenarioStore): Promise<{ completed: number; lastMs: number }> {
  const text = `
    select count(*) filter (where status = 'completed')::int as completed,
      extract(epoch from max(closed_at))::float8 * 1000 as last_ms
    from ${schema}.runs`;
  const { rows } = await database.query(text);
  return { completed: Number(rows[0]?.["completed"]), lastMs: Number(rows[0]?.["last_ms"]) };
}
